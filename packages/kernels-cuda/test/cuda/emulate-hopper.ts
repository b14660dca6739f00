/** Imported first: the host harness's devices are of sm_90a in this process. A real device is what it is. */
process.env['HYPERARC_EMULATED_SM'] ??= '90';
