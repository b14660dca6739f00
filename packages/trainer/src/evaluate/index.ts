export * from './roc.js';
export * from './verify.js';
export * from './embed.js';
export * from './pairs.js';
export * from './evaluation.js';
export * from './environment.js';
export * from './evaluateRun.js';
export * from './sets/index.js';
