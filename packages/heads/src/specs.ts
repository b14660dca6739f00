export * from './specs/index.js';
