import jupyter from '@jupyter/eslint-plugin';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

// Who may import whom, from the top: a folder knows nothing of what stands above it.
const LAYERS = ['plugins', 'widgets', 'components', 'models'];
const FILES_BELOW_ALL = ['api', 'events', 'request', 'rest-types', 'wire'];

const layers = LAYERS.map((layer, position) => ({
  files: [`src/${layer}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      { patterns: LAYERS.slice(0, position).map(above => ({ group: [`**/${above}/**`] })) }
    ]
  }
}));

export default tseslint.config(
  { ignores: ['lib/', 'src/rest-types.ts', 'node_modules/', 'style/', '*.config.mjs', '**/*.cjs'] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  { plugins: { jupyter }, rules: jupyter.configs.recommended[0].rules },
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // The prefix I for interfaces, and namespaces of constants, are JupyterLab's own habits.
      '@typescript-eslint/naming-convention': [
        'error',
        { selector: 'interface', format: ['PascalCase'], prefix: ['I'] }
      ],
      '@typescript-eslint/no-namespace': 'off',
      // Signals are connected with a method and its object, which jupyter/signal rules check.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // All of it is needed to draw the panel, which is open from the start where it was before.
      'jupyter/prefer-lazy-imports': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }]
    }
  },
  ...layers,
  {
    files: FILES_BELOW_ALL.map(name => `src/${name}.ts`),
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: LAYERS.map(above => ({ group: [`**/${above}/**`] })) }
      ]
    }
  },
  prettier
);
