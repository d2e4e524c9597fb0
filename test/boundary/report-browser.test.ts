/** The HTML report of `check`, as a real browser shows and prints it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { Browser } from '../support/browser.ts';
import { cli } from '../support/cli.ts';
import { describeWith } from '../support/root.ts';
import { ARTIFACTS } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

/** Colours of the page and of each kind of text, with the contrast of the latter. */
const CONTRASTS = `(() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = luminance(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('body, .soft, article b, h2')].map((element) => {
    const text = luminance(getComputedStyle(element).color);
    return (Math.max(page, text) + 0.05) / (Math.min(page, text) + 0.05);
  });
})()`;

describeWith('chromium', 'the HTML report', () => {
  it('is read on a screen and on a phone, light and dark, and is printed on two pages', async () => {
    using workspace = new Workspace();
    workspace.writeConfig({});
    const { code, stdout } = await cli(['check', '--config', workspace.configFile, '-o', 'html']);
    expect(code).toBe(1);
    const file = join(workspace.root, 'report.html');
    writeFileSync(file, stdout);
    await using browser = new Browser();
    await browser.open(pathToFileURL(file).href);
    const seen: Record<string, unknown> = {};
    mkdirSync(ARTIFACTS, { recursive: true });
    for (const width of [1280, 390]) {
      for (const scheme of ['light', 'dark']) {
        await browser.send('Emulation.setDeviceMetricsOverride', {
          width,
          height: width === 390 ? 844 : 900,
          deviceScaleFactor: 1,
          mobile: width === 390,
        });
        await browser.send('Emulation.setEmulatedMedia', {
          features: [{ name: 'prefers-color-scheme', value: scheme }],
        });
        seen[`${width} ${scheme}`] = {
          overflow: await browser.evaluate(
            'document.documentElement.scrollWidth - document.documentElement.clientWidth',
          ),
          background: await browser.evaluate('getComputedStyle(document.body).backgroundColor'),
          faint: (await browser.evaluate<number[]>(CONTRASTS)).filter((contrast) => contrast < 4.5),
          first: await browser.evaluate('document.querySelector("article, table").className'),
          failureInSight: await browser.evaluate(
            'document.querySelector("article").getBoundingClientRect().top < innerHeight',
          ),
        };
        const { data } = await browser.send('Page.captureScreenshot', { captureBeyondViewport: false });
        writeFileSync(join(ARTIFACTS, `report-${width}-${scheme}.png`), Buffer.from(String(data), 'base64'));
      }
    }
    const shown = { overflow: 0, faint: [], first: 'error', failureInSight: true };
    const [light, dark] = ['rgb(255, 255, 255)', 'rgb(20, 24, 29)'];
    expect(seen).toEqual({
      '1280 light': { ...shown, background: light },
      '1280 dark': { ...shown, background: dark },
      '390 light': { ...shown, background: light },
      '390 dark': { ...shown, background: dark },
    });
    const { data } = await browser.send('Page.printToPDF', {
      preferCSSPageSize: true,
      printBackground: true,
    });
    const pdf = Buffer.from(String(data), 'base64');
    writeFileSync(join(ARTIFACTS, 'report.pdf'), pdf);
    expect(pdf.toString('latin1').match(/\/Type \/Page\b/g)?.length).toBeLessThanOrEqual(2);
    expect(browser.requests).toEqual([pathToFileURL(file).href]);
  });
});
