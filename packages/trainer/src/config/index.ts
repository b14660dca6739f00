export { checkConfig } from './check.js';
export { resumeDifferences } from './differences.js';
export { formatConfig, loadConfig, parseOverride } from './load.js';
export { headOptimizer, type OptimizerConfig } from './optimizerSchema.js';
export { configSchema, type Config } from './schema.js';
