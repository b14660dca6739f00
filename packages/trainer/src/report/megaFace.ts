import type { IndexFigures, MegaFaceEvaluation } from '../evaluate/index.js';
import { html, type Html } from './html.js';
import { percent, table } from './parts.js';

/** Identification among distractors; with an index, what it left out. */
export function megaFaceSection(evaluation: MegaFaceEvaluation): Html {
  const { people, probes, distractors, pairs, identification, verification, index } = evaluation;
  return html`<section>
    <h2>MegaFace${evaluation.cleaned ? ' (R)' : ''}</h2>
    <p class="note">
      ${evaluation.source}: ${probes} probes of ${people} people, ${distractors} distractors, ${pairs} pairs of probe
      and mate. ${evaluation.cleaned ? 'Cleaned by the lists of noises.' : 'Not cleaned.'}
      ${index === null ? '' : 'The rates are upper bounds: the distractors were searched approximately.'}
    </p>
    ${table(
      identification.map(({ rank }) => `rank ${rank}`),
      [identification.map(({ rate }) => `${index === null ? '' : '≤ '}${percent(rate)}`)],
    )}
    ${index === null ? '' : indexPart(index)}
    ${
      verification === null
        ? html`<p class="note">No verification: it is over all impostor pairs, of which an index sees some.</p>`
        : html`<h3 style="margin-top: 18px">Verification</h3>
            <p class="note">TAR at the largest FAR not above, over ${verification.impostorPairs} impostor pairs.</p>
            ${table(
              verification.tarAtFar.map(({ far }) => `TAR@${far.toExponential(0)}`),
              [verification.tarAtFar.map(({ tar }) => (tar === null ? 'n/a' : percent(tar)))],
            )}`
    }
  </section>`;
}

function indexPart({ lists, listsPerProbe, compared, recall }: IndexFigures): Html {
  const { checked, probes } = recall[0]!;
  const of =
    checked === probes ? `all ${probes} probes` : `${checked} of the ${probes} probes, in brackets 95% intervals`;
  return html`<h3 style="margin-top: 18px">Recall of the index</h3>
    <p class="note">
      ${listsPerProbe} of ${lists} lists for each probe, ${percent(compared)} of all cosines. Share of the nearest
      distractors that were found, by exact search of ${of}.
    </p>
    ${table(
      recall.map(({ k }) => `recall@${k}`),
      [
        recall.map((figure) =>
          checked === probes
            ? percent(figure.recall)
            : `${percent(figure.recall)} [${percent(figure.low)}, ${percent(figure.high)}]`,
        ),
      ],
    )}`;
}
