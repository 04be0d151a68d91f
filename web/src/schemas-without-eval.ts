import { z } from 'zod';

// zod would compile its checks by `new Function`, which the edges' content security policy rightly forbids; even its
// probe whether that is allowed leaves an error in the console.
z.config({ jitless: true });
