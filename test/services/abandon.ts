/** Run as a process by services.test.ts, and killed by it: starts two servers and waits. */
import { Redis } from 'ioredis'
import pg from 'pg'
import { startPostgres } from './postgres.ts'
import { startRedis } from './redis.ts'

const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
const client = new pg.Client({ connectionString: postgres.url })
await client.connect()
const { rows } = await client.query('show data_directory')
await client.end()
const [, directory] = await new Redis(redis.url).config('GET', 'dir').then((pair) => pair as [string, string])
const ports = [postgres.url, redis.url].map((url) => Number(new URL(url).port))
console.log(JSON.stringify({ ports, folders: [rows[0].data_directory, directory] }))
setInterval(() => undefined, 60_000)
