/** Reads Python's pickles without running them. */
export { latin1Bytes, plainGlobals } from './globals.js';
export { NumpyArray, NumpyDtype, numpyGlobals } from './numpy.js';
export { PickleReference, type PickleGlobal, type PickleGlobals, type UnpickleOptions } from './types.js';
export { unpickle } from './unpickle.js';
