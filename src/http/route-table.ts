/** Which methods a path takes: the router only knows that this one did not fit. */
export interface RouteTable {
  /** Empty when there is no such path. */
  methods(path: string): string[]
  /** The path as it was defined: fit for a log, where the path itself may hold what a caller typed. */
  pattern(path: string): string | undefined
}

export function routeTable(routes: readonly { method: string; path: string }[]): RouteTable {
  const known = routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => ({
      method,
      path,
      shape: new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`),
    }))
  const fitting = (path: string) => known.filter(({ shape }) => shape.test(path))
  return {
    methods: (path) => {
      const methods = new Set(fitting(path).map(({ method }) => method))
      if (methods.has('GET')) methods.add('HEAD')
      return [...methods].sort()
    },
    pattern: (path) => fitting(path)[0]?.path,
  }
}
