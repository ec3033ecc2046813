/**
 * The base64 SHA-256 of the script, as the page's policy names it; a test says when it is stale.
 */
export const scriptHash = 'sha256-bnD1v3redg2ebYB5K1p9Ms/ATsJVCj+Y8ACMzYBtLK4=';

/**
 * All that the page's script does: filter the requirements, open a counterexample, copy a replay
 * line, unfold everything to print.
 */
export const pageScript = `'use strict';
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);

  const form = byId('filter');
  const rows = all('#requirements tbody tr');
  const filter = () => {
    const verdict = form.elements.verdict.value;
    const wanted = byId('filter-text').value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = (verdict === 'all' || row.dataset.verdict === verdict) && row.textContent.toLowerCase().includes(wanted);
      row.hidden = !fits;
      if (fits) shown++;
    }
    byId('filter-count').textContent = shown + ' of ' + rows.length;
    byId('filter-none').hidden = shown > 0;
  };
  form.hidden = false;
  form.addEventListener('input', filter);
  form.addEventListener('submit', (event) => event.preventDefault());
  filter();

  const open = (id) => {
    const story = byId(id);
    if (!story || story.tagName !== 'DETAILS') return;
    story.open = true;
    story.scrollIntoView({ block: 'start' });
    story.querySelector('summary').focus({ preventScroll: true });
  };
  for (const row of rows) {
    if (!row.dataset.story) continue;
    row.addEventListener('click', (event) => {
      if (getSelection().toString() !== '') return;
      event.preventDefault();
      history.replaceState(null, '', '#' + row.dataset.story);
      open(row.dataset.story);
    });
  }
  const fromAddress = () => open(location.hash.slice(1));
  addEventListener('hashchange', fromAddress);
  fromAddress();

  for (const button of all('button.copy')) {
    const line = button.previousElementSibling;
    button.hidden = false;
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(line.textContent);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(line);
        button.textContent = 'Press Ctrl+C';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
  }

  let folded = [];
  addEventListener('beforeprint', () => {
    folded = all('details:not([open])');
    for (const details of folded) details.open = true;
  });
  addEventListener('afterprint', () => {
    for (const details of folded) details.open = false;
  });
})();
`;
