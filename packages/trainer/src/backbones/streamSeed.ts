/** FNV-1a over the UTF-16 units of `SEED/NAME`: the 32-bit seed of a layer's own random stream. */
export function streamSeed(seed: number, name: string): number {
  const key = `${seed}/${name}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash | 0;
}
