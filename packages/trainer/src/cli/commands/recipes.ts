import type { Command } from 'commander';

import { listRecipes } from '../../config/recipes.js';

/** One line a recipe. */
function printRecipes(): void {
  const recipes = listRecipes();
  const width = Math.max(...recipes.map(({ name }) => name.length));
  const lines = recipes.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}`);
  process.stdout.write(
    `${lines.join('\n')}\n\nTrain one:      hyperarc train NAME data.root=FACES   (--dry-run shows it resolved)\n` +
      'Build on one:   extends: NAME   in a YAML file of your own\n',
  );
}

/** `hyperarc recipes`. */
export function registerRecipesCommand(program: Command): void {
  program.command('recipes').description('list the configurations that come with the package').action(printRecipes);
}
