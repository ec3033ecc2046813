import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// The first test that fails ends the run of a mutant, so what takes seconds goes last.
const last = ['codec', 'state', 'mutation', 'judged'];
const rank = ({ moduleId }: TestSpecification): number => last.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));

class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => rank(a) - rank(b));
  }
}

// What kills mutants of the library: its unit tests and the suite's own, without those that run the
// built command.
export default defineConfig({
  test: {
    include: [
      'src/{abi,codec,guest,rules,model}/**/*.test.ts',
      'conformance/{loads,mutation}.test.ts',
      'conformance/golden/judged.test.ts',
    ],
    testTimeout: 60_000,
    sequence: { sequencer: QuickFirst },
  },
});
