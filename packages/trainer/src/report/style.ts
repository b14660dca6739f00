/**
 * Colours by role. Charts are SVG drawn on the server, so they name these variables and follow light and dark mode by themselves. Series
 * colours keep 3:1 contrast with the background in both modes, and blue/orange differ for the common colour blindnesses.
 */
export const COLOR = {
  ink: 'var(--ink)',
  muted: 'var(--muted)',
  line: 'var(--line)',
  surface: 'var(--surface)',
  series: ['var(--blue)', 'var(--orange)', 'var(--grey)', 'var(--green)', 'var(--purple)'],
  same: 'var(--blue)',
  different: 'var(--orange)',
} as const;

export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --surface: #ffffff; --ink: #1b2330; --muted: #5c6675; --line: #dde2e9; --highlight: #eef4fd;
  --blue: #2166c4; --orange: #c8600a; --grey: #7d8794; --green: #1b7f5c; --purple: #7d4bb3; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --surface: #1b2129; --ink: #e8ecf2; --muted: #9aa6b5; --line: #333d4a; --highlight: #1f2d42;
    --blue: #6aa9ff; --orange: #f2984a; --grey: #8d99a8; --green: #4fc39a; --purple: #b792e8; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 ${FONT}; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
header h1 { margin: 0; font-size: 28px; line-height: 1.2; overflow-wrap: anywhere; }
header p { margin: 6px 0 0; color: var(--muted); }
section { margin-top: 24px; padding: 20px 24px 24px; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
h2 { margin: 0 0 4px; font-size: 19px; }
h3 { margin: 0 0 4px; font-size: 15px; }
p.note { margin: 0 0 14px; color: var(--muted); font-size: 14px; max-width: 78ch; }
.figures { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 20px; }
.figure { flex: 1 1 180px; padding: 14px 18px; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
.figure strong { display: block; font-size: 26px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figure span { color: var(--muted); font-size: 14px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 9px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--muted); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tbody tr:last-child > * { border-bottom: 0; }
tr.chosen > * { background: var(--highlight); font-weight: 600; color: var(--ink); }
table.facts td, table.facts th { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
table.facts th { width: 200px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); gap: 20px; }
.charts.two { grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); }
.charts > figure, figure.wide { margin: 0; min-width: 0; }
.wide { max-width: 860px; }
svg { display: block; width: 100%; height: auto; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 8px; padding: 0; list-style: none; font-size: 14px; }
.legend i { display: inline-block; width: 14px; height: 4px; margin-right: 7px; border-radius: 2px; vertical-align: middle; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 14px; margin-bottom: 22px; }
.pair { margin: 0; padding: 10px; border: 1px solid var(--line); border-radius: 8px; font-size: 12.5px; min-width: 0; }
.pair .images { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.pair img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 4px; background: var(--line); }
.pair .missing { display: grid; place-items: center; aspect-ratio: 1; border-radius: 4px; background: var(--line); color: var(--muted); }
.pair figcaption { margin-top: 6px; color: var(--muted); overflow-wrap: anywhere; }
.pair figcaption strong { display: block; color: var(--ink); font-size: 14px; }
pre { margin: 0; padding: 14px 16px; overflow-x: auto; background: var(--page); border: 1px solid var(--line); border-radius: 8px; font-size: 13px; line-height: 1.45; }
@media print { body { background: #fff; } section, .figure { break-inside: avoid; } }
`;
