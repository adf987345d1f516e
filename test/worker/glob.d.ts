/** The part of vite's `import.meta.glob` that the tests use. */
interface ImportMeta {
  glob(pattern: string): Record<string, () => Promise<unknown>>
  glob<Content>(
    patterns: string[],
    options: { query: '?raw'; import: 'default'; eager: true },
  ): Record<string, Content>
}
