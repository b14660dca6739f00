export * from './environment.js';
export * from './render.js';
export * from './write.js';
