import type { Io } from './io.ts'

interface Option {
  type: 'string' | 'boolean'
  /** What stands for the value in the help: `FILE`. */
  value?: string
  about: string
}
type Options = Readonly<Record<string, Option>>

type Flags<Some extends Options> = {
  readonly [Name in keyof Some]?: Some[Name]['type'] extends 'boolean' ? boolean : string
}

/** One sub-command: what the help says of it, what it takes, what it does. Answers the exit code. */
export interface Definition<Some extends Options> {
  /** Behind `cordboard`: `show <id>`. */
  usage: string
  about: string
  /** Help begins with these; the first word after `cordboard` is the command's. */
  examples: readonly (readonly [command: string, about: string])[]
  options: Some
  /** Fewest and most positional arguments. */
  args: readonly [least: number, most: number]
  /** Options that are not declared come as `more`: only the command knows what it takes. */
  takesMore?: true
  run(given: { flags: Flags<Some>; args: readonly string[]; more: More; io: Io }): Promise<number>
}

/** Texts by option, in the order they were given; an option without a value is `true`. */
export type More = Readonly<Record<string, readonly string[]>>

/** As the dispatcher sees it: its options are checked by then. */
export type Command = Omit<Definition<Options>, 'run'> & {
  run(given: {
    flags: Record<string, string | boolean>
    args: readonly string[]
    more: More
    io: Io
  }): Promise<number>
}

export function defineCommand<const Some extends Options>(definition: Definition<Some>): Command {
  return {
    ...definition,
    // parse() lets only the declared options through, each with its declared type.
    run: ({ flags, ...rest }) => definition.run({ flags: flags as Flags<Some>, ...rest }),
  }
}

/** Of every command. */
export const globalOptions = {
  help: { type: 'boolean', about: 'this text' },
  version: { type: 'boolean', about: 'the version' },
  debug: { type: 'boolean', about: 'errors with their stack' },
  'no-color': { type: 'boolean', about: 'no colours; so does NO_COLOR=1' },
} as const satisfies Options

export const jsonOption = {
  json: { type: 'boolean', about: 'one JSON object per line' },
} as const satisfies Options

export const configOption = {
  config: { type: 'string', value: 'FILE', about: 'configuration; default cordboard.config.ts, then .json' },
} as const satisfies Options

export const dataOption = {
  data: { type: 'string', value: 'DIR', about: 'data folder; default CORDBOARD_DATA, then .data' },
} as const satisfies Options

/** Of the commands that go on until they are stopped. */
export const logOption = {
  log: { type: 'string', value: 'LEVEL', about: 'debug, info (default), warn or error; CORDBOARD_LOG' },
} as const satisfies Options

/** Of the commands that ask a running server, or read the data folder without one. */
export const targetOptions = {
  url: { type: 'string', value: 'URL', about: 'a running server; default CORDBOARD_URL' },
  token: { type: 'string', value: 'TOKEN', about: 'its API token; default CORDBOARD_TOKEN' },
  ...dataOption,
  ...configOption,
} as const satisfies Options
