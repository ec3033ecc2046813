import fc from 'fast-check';

// A gate says the same twice, so properties draw from one seed. XENMEM_SEED=… looks elsewhere.
fc.configureGlobal({ seed: Number(process.env['XENMEM_SEED'] ?? 1) });
