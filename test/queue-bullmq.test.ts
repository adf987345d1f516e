import { queueKit } from './kit/queue.ts'
import { openOnRedis } from './kit/queue-bullmq.ts'

queueKit('BullMQ', () => openOnRedis('itself'))
queueKit('BullMQ, rung by another process', () => openOnRedis('another'))
