"""A real browser for tests, without root: Chromium out of an npm package, driven by Playwright."""
