export function cudaRequirements(metadata: string): string[];
