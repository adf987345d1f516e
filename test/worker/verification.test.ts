/** The vectors of vendors and standards once more, checked by what a Worker checks with. */
import '../unit/signer.test.ts'
import '../unit/verify.test.ts'
import '../unit/verify-digest.test.ts'
import '../unit/verify-keys.test.ts'
