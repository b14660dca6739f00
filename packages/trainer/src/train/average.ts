import type { Config } from '../config/index.js';

/** Whether the weights themselves are verified and saved as the run's model, though there is an average of them. */
export function verifiesRaw({ evaluate }: Pick<Config, 'evaluate'>): boolean {
  return evaluate.weights === 'raw';
}
