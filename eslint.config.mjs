import js from '@eslint/js';
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['**/dist/', '**/node_modules/', 'native/', '**/results/', 'runs/', 'data/', '.nx/', '**/*.d.ts'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs', 'scripts/*'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        fetch: 'readonly',
        performance: 'readonly',
      },
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    plugins: { '@nx': nx },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      // native ← kernels-cuda ← heads ← trainer ← bench; nothing imports bench.
      '@nx/enforce-module-boundaries': [
        'error',
        {
          enforceBuildableLibDependency: true,
          depConstraints: [
            { sourceTag: 'layer:kernels-cuda', onlyDependOnLibsWithTags: ['layer:native'] },
            { sourceTag: 'layer:heads', onlyDependOnLibsWithTags: ['layer:kernels-cuda'] },
            { sourceTag: 'layer:trainer', onlyDependOnLibsWithTags: ['layer:kernels-cuda', 'layer:heads'] },
            {
              sourceTag: 'layer:bench',
              onlyDependOnLibsWithTags: ['layer:kernels-cuda', 'layer:heads', 'layer:trainer'],
            },
          ],
        },
      ],
    },
  },
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
);
