// The addon is loaded by workers alone, one after the other and two at once, so that each end of a worker could unload it.
import { Worker } from 'node:worker_threads';

const train = () =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./train.mjs', import.meta.url), { workerData: { steps: 2 } });
    let answer;
    worker.on('message', (message) => (answer = message));
    worker.on('error', reject);
    worker.on('exit', () => resolve(answer));
  });

const answers = [await train(), ...(await Promise.all([train(), train()])), await train()];
if (new Set(answers.map((answer) => answer.digest)).size !== 1) throw new Error('workers disagree');
console.log('agreed');
