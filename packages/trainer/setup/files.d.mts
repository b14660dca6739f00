/** A set-up step failed for a reason that the user can act on. */
export class SetupError extends Error {}
