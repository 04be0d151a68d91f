import { z } from 'zod';

// zod would compile its checks with `new Function`, which the content security policy of the edges forbids. Even zod's probe whether
// that is allowed leaves an error in the console.
z.config({ jitless: true });
