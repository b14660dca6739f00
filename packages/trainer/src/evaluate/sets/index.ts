export { meanAccuracy } from './formatSets.js';
export { parseVerificationBin, readVerificationBin, type VerificationBin } from './verificationBin.js';
export { openVerificationSet, openVerificationSets, type VerificationSet } from './verificationSet.js';
export { writeVerificationBin, type WriteBinOptions, type WriteBinResult } from './writeVerificationBin.js';
