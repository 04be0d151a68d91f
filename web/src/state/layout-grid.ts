/** A grid of equal tiles, in CSS pixels. */
export interface GridLayout {
  readonly columns: number;
  readonly rows: number;
  readonly tileWidth: number;
  readonly tileHeight: number;
}

export const GRID_GAP_PX = 10;
/**
 * Aspect ratios of tiles, width by height; the video is cropped to fit. In a wide window cameras keep nearly their own ratio. On a phone
 * held upright tiles may be taller than wide, because two people would otherwise be two thin stripes.
 */
const WIDEST = 16 / 9;
const NARROWEST_ON_WIDE = 4 / 3;
const NARROWEST_ON_TALL = 0.85;
const SMALLEST_TILE_PX = 150;
const MOST_TILES = 25;

/** The grid that shows `count` tiles as large as possible in this area. */
export function layoutGrid(count: number, width: number, height: number, gapPx = GRID_GAP_PX): GridLayout {
  const narrowest = width > height ? NARROWEST_ON_WIDE : NARROWEST_ON_TALL;
  let best: GridLayout = { columns: 1, rows: Math.max(count, 1), tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= Math.max(count, 1); columns += 1) {
    const rows = Math.ceil(Math.max(count, 1) / columns);
    const cellWidth = (width - gapPx * (columns - 1)) / columns;
    const cellHeight = (height - gapPx * (rows - 1)) / rows;
    if (cellWidth <= 0 || cellHeight <= 0) continue;
    const tileWidth = Math.min(cellWidth, cellHeight * WIDEST);
    const tileHeight = Math.min(cellHeight, tileWidth / narrowest);
    if (tileWidth * tileHeight > best.tileWidth * best.tileHeight) {
      best = { columns, rows, tileWidth: Math.floor(tileWidth), tileHeight: Math.floor(tileHeight) };
    }
  }
  return best;
}

/** The number of tiles on one page of the grid, so that no face is too small to recognize. */
export function gridCapacity(width: number, height: number): number {
  const columns = Math.max(1, Math.floor((width + GRID_GAP_PX) / (SMALLEST_TILE_PX + GRID_GAP_PX)));
  const rows = Math.max(1, Math.floor((height + GRID_GAP_PX) / (SMALLEST_TILE_PX * 0.75 + GRID_GAP_PX)));
  return Math.min(MOST_TILES, columns * rows);
}
