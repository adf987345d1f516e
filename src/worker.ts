/** The Cloudflare entry. */
export default {
  fetch(): Response {
    return new Response('not yet')
  },
}
