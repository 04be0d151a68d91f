import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** `PLENARY_EDGE` names the edge that the development server hands its API and sockets to. */
const edge = process.env['PLENARY_EDGE'] ?? 'http://127.0.0.1:3000';

export default defineConfig({
  root: import.meta.dirname,
  // Absolute paths: a room's page lives under /r/, where relative ones would miss the assets.
  base: '/',
  plugins: [react()],
  // One chunk of some 180 kB compressed: a room needs all of it at once, and a second round trip would cost more.
  build: { outDir: 'dist', emptyOutDir: true, target: 'es2022', sourcemap: true, chunkSizeWarningLimit: 800 },
  server: {
    proxy: { '/api': edge, '/socket.io': { target: edge, ws: true } },
  },
});
