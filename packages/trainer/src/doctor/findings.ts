import { WASM_SLOWDOWN } from '../../setup/setup-tensorflow.mjs';
import { INSTALL_RUNTIME } from '../data/detect/onnxSession.js';
import type { DeviceFacts, MachineFacts } from './facts.js';

/** One line of the doctor's report. */
export interface Finding {
  subject: string;
  /** `ok`; `note`: works, but slower or with less; `fail`: training could not run. */
  level: 'ok' | 'note' | 'fail';
  text: string;
  /** The command or step that mends it. */
  mend?: string;
}

const GIB = 2 ** 30;
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
const REBUILD = 'node scripts/native.mjs addon';

function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return { subject: 'Node', level: 'ok', text: version };
  return {
    subject: 'Node',
    level: 'fail',
    text: `${version}; expected 20.19 or newer`,
    mend: 'install Node 20.19 or newer, e.g. nvm install 20',
  };
}

function toolFinding(subject: string, version: string | undefined, neededFor: string, mend: string): Finding {
  if (version !== undefined) return { subject, level: 'ok', text: version };
  return { subject, level: 'note', text: `not found; needed only ${neededFor}`, mend };
}

function cudaFindings(facts: MachineFacts): Finding[] {
  const findings: Finding[] = [
    toolFinding(
      'CUDA toolkit',
      facts.nvcc,
      'to build the engine with CUDA',
      "apt-get install cuda-toolkit-13-0 (from NVIDIA's repository), and put nvcc on the PATH",
    ),
  ];
  if (facts.nvidiaDriver !== undefined) {
    const major = Number(facts.nvidiaDriver.split('.')[0]);
    findings.push(
      major >= 580
        ? { subject: 'NVIDIA driver', level: 'ok', text: facts.nvidiaDriver }
        : {
            subject: 'NVIDIA driver',
            level: 'note',
            text: `${facts.nvidiaDriver}; CUDA 13 needs 580 or newer`,
            mend: 'update the NVIDIA driver to 580 or newer',
          },
    );
  } else {
    findings.push({
      subject: 'NVIDIA driver',
      level: 'note',
      text: 'none on this machine: the engine runs on the CPU',
      mend: 'only with an NVIDIA GPU: install its driver, 580 or newer',
    });
  }
  return findings;
}

function addonFindings(facts: MachineFacts): Finding[] {
  const { addon } = facts;
  if (addon.error !== undefined) {
    const text = `does not load: ${addon.error}`;
    return [{ subject: 'native addon', level: 'fail', text, mend: addon.mend ?? REBUILD }];
  }
  const findings: Finding[] = [
    { subject: 'native addon', level: 'ok', text: `${addon.buildDescription ?? ''} (${addon.path ?? ''})` },
  ];
  if (addon.whyNoCuda) {
    findings.push({ subject: 'engine on CUDA', level: 'note', text: `not used: ${addon.whyNoCuda}` });
  }
  for (const device of facts.devices) findings.push(...deviceFindings(device));
  const isUsable = ({ kind, kernels }: DeviceFacts) => kind === 'cuda' && !(kernels && 'error' in kernels);
  const chosen = facts.devices.find(isUsable) ?? facts.devices[0];
  if (chosen !== undefined) findings.push({ subject: "device 'auto'", level: 'ok', text: specOf(chosen) });
  return findings;
}

const specOf = ({ kind, index }: DeviceFacts): string => (kind === 'cpu' ? kind : `${kind}:${index}`);

function deviceFindings(device: DeviceFacts): Finding[] {
  const subject = `device ${specOf(device)}`;
  const threads = device.threads > 0 ? `, ${device.threads} threads` : '';
  const text = `${device.name}: ${device.instructionSet}${threads}, ${gib(device.totalMemoryBytes)}`;
  const { kernels } = device;
  if (kernels === undefined) return [{ subject, level: 'ok', text }];
  if ('error' in kernels) return [{ subject, level: 'note', text: `${text}; cannot be used: ${kernels['error']}` }];
  // One line for each kernel, with what it serves.
  const names = [...new Set(Object.values(kernels))];
  const servedBy = (name: string) => Object.keys(kernels).filter((shape) => kernels[shape] === name);
  const lines = names.map((name): Finding => {
    return { subject: `  kernels`, level: 'ok', text: `${name} for ${servedBy(name).join('; ')}` };
  });
  return [{ subject, level: 'ok', text: `${text}, ${gib(device.freeMemoryBytes)} free` }, ...lines];
}

function backendFinding({ backend }: MachineFacts): Finding {
  const subject = 'tfjs backend';
  if (backend.cannotTrain !== undefined) {
    return { subject, level: 'fail', text: `${backend.name}: ${backend.cannotTrain}`, mend: backend.fix ?? REBUILD };
  }
  if (backend.name === 'tensorflow') {
    const where = backend.usesGpu === true ? 'GPU' : 'CPU';
    return { subject, level: 'ok', text: `TensorFlow ${backend.tensorflowVersion ?? ''} on the ${where}` };
  }
  return {
    subject,
    level: 'note',
    text: `${backend.name}, ${WASM_SLOWDOWN}: ${backend.reason ?? ''}`,
    mend: backend.fix ?? 'scripts/setup-tensorflow',
  };
}

/** Judges the facts. Training can run exactly when no finding is `fail`. */
export function judge(facts: MachineFacts): Finding[] {
  return [
    nodeFinding(facts.nodeVersion),
    {
      subject: 'processor',
      level: 'ok',
      text: `${facts.processor}, ${facts.processorCount} usable, ${gib(facts.totalMemoryBytes)} of memory, ${gib(facts.freeMemoryBytes)} free`,
    },
    toolFinding('C++ compiler', facts.compiler, 'to build the addon', 'apt-get install g++'),
    toolFinding('CMake', facts.cmake, 'to build the addon', 'apt-get install cmake'),
    ...cudaFindings(facts),
    ...addonFindings(facts),
    backendFinding(facts),
    toolFinding('ONNX Runtime', facts.onnxRuntime, 'by hyperarc data align --detector', INSTALL_RUNTIME),
  ];
}

/** The report as lines of text. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map((finding) => finding.subject.length));
  const lines = findings.flatMap(({ subject, level, text, mend }) => [
    `${level.padEnd(4)}  ${subject.padEnd(width)}  ${text}`,
    ...(mend === undefined ? [] : [`${' '.repeat(6 + width)}  mend: ${mend}`]),
  ]);
  const failed = findings.filter((finding) => finding.level === 'fail').length;
  lines.push(
    '',
    failed === 0
      ? 'Training can run on this machine.'
      : `Training cannot run: ${failed} of the findings above must be mended.`,
  );
  return lines.join('\n');
}
