export { checkConfig, checkRequest } from './check.js';
export { resumeDifferences } from './differences.js';
export { formatConfig, loadConfig, loadRequest, parseOverride } from './load.js';
export { headOptimizer, type HeadOptimizer, type OptimizerConfig } from './optimizerSchema.js';
export { listRecipes, type Recipe } from './recipes.js';
export { configSchema, withBatchSize, type Config, type ConfigRequest } from './schema.js';
