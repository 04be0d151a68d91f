// @ts-check
import { existsSync } from 'node:fs';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';
import { entryRules } from './deploy/local/lint/total-entries.js';

const projects = ['tsconfig.json', 'tsconfig.dom.json', 'web/tsconfig.json'].filter((path) =>
  existsSync(path),
);
const typescript = ['**/*.ts', '**/*.tsx'];

/** Patterns that are refused everywhere. Each message says what to do instead. */
const refusedSyntax = [
  {
    selector: "TSAsExpression > TSAsExpression[typeAnnotation.type='TSUnknownKeyword']",
    message:
      'A cast through unknown hides a wrong type. Parse the value with a schema, narrow it with a type guard, or mend the type where it is declared.',
  },
  {
    selector:
      "CallExpression[callee.property.name='catch'] > ArrowFunctionExpression > BlockStatement[body.length=0]",
    message:
      'A swallowed error is silence. Log it, count it in a metric, or hand it on; if it truly does not matter, say why in a named function.',
  },
  {
    selector: "MemberExpression[object.name=/^(it|test|describe)$/][property.name='only']",
    message:
      '`.only` switches every other test off. Remove it; run one test with `npx vitest run <file> -t <name>`.',
  },
  {
    selector: "MemberExpression[object.name=/^(it|test|describe)$/][property.name='skip']",
    message:
      'A skipped test proves nothing. Make it pass, remove it, or use `skipIf` with the condition that it depends on.',
  },
  {
    selector: 'TSEnumDeclaration',
    message:
      'Node strips types and cannot run an enum. Use a union of strings, or a const object with `satisfies`.',
  },
];

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/**',
      '**/dist/**',
      '**/coverage/**',
      '.toolchain/**',
      '.plenary/**',
      '**/*.generated.ts',
      // Built from an earlier commit.
      'e2e/src/yesterday/client.js',
      // k6 is no Node: its scripts have their own globals and modules.
      'loadtest/src/k6/**',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  ...tseslint.configs.recommended.map((config) => ({
    ...config,
    files: [...typescript, '**/*.js', '**/*.mjs'],
  })),
  {
    files: typescript,
    languageOptions: { parserOptions: { project: projects, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        // A package that is loaded only where it can be (uWebSockets.js) is named as typeof import('…').
        { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
    },
  },
  {
    files: [...typescript, '**/*.js', '**/*.mjs'],
    rules: {
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      'no-restricted-syntax': ['error', ...refusedSyntax],
      'no-empty': ['error', { allowEmptyCatch: false }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  {
    files: ['web/src/**/*.ts', 'web/src/**/*.tsx'],
    plugins: { 'react-hooks': reactHooks },
    rules: { 'react-hooks/rules-of-hooks': 'error', 'react-hooks/exhaustive-deps': 'error' },
  },
  ...entryRules,
);
