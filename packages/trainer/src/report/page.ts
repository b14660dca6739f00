import { html, Html } from './html.js';
import { STYLE } from './style.js';

/**
 * One HTML document: no script, and nothing that a browser would fetch.
 * @param kind what it is: "report".
 * @param createdAt ISO 8601.
 */
export function page(title: string, kind: string, createdAt: string, content: readonly Html[]): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · HyperArc ${kind}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <header>
            <h1>${title}</h1>
            <p>HyperArc ${kind}, ${createdAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')}</p>
          </header>
          ${content}
        </main>
      </body>
    </html> `.markup;
}
