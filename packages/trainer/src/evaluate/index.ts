export * from './roc.js';
export * from './verify.js';
