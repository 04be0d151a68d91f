import { useEffect, useMemo, useRef, useState } from 'react';
import type { TrackId } from '@plenary/cluster/protocol';
import { useSize } from '../hooks/use-size.ts';
import { GRID_GAP_PX, gridCapacity, layoutGrid } from '../state/layout-grid.ts';
import { arrange, pageOf, type Tile } from '../state/tiles.ts';
import { Icon } from './Icon.tsx';
import { TileView } from './TileView.tsx';

export interface StageProps {
  readonly tiles: readonly Tile[];
  /** Called with the height of each visible video, in CSS pixels. */
  readonly onVisible: (visible: ReadonlyMap<TrackId, number>) => void;
}

const FILMSTRIP_WIDTH_PX = 208;
const FILMSTRIP_ROW_PX = 104;

/** The tiles of a meeting: a grid, or a shared screen with the other tiles in a strip. */
export function Stage({ tiles, onVisible }: StageProps) {
  const reference = useRef<HTMLDivElement | null>(null);
  const size = useSize(reference);
  const [page, setPage] = useState(0);
  const { stage, rest } = useMemo(() => arrange(tiles), [tiles]);
  const wide = size.width > 720;

  const capacity =
    stage === undefined
      ? gridCapacity(size.width, size.height)
      : wide
        ? Math.max(1, Math.floor(size.height / (FILMSTRIP_WIDTH_PX * 0.5625 + GRID_GAP_PX)))
        : Math.max(1, Math.floor(size.width / (FILMSTRIP_ROW_PX * 1.5 + GRID_GAP_PX)));
  const pages = Math.max(1, Math.ceil(rest.length / capacity));
  const shownPage = Math.min(page, pages - 1);
  const shown = pageOf(rest, capacity, shownPage);
  const grid = layoutGrid(shown.length, size.width, size.height);
  const stripTile = wide
    ? { width: FILMSTRIP_WIDTH_PX, height: FILMSTRIP_WIDTH_PX * 0.5625 }
    : { width: FILMSTRIP_ROW_PX * 1.5, height: FILMSTRIP_ROW_PX };
  const tileSize = stage === undefined ? { width: grid.tileWidth, height: grid.tileHeight } : stripTile;

  const visible = new Map<TrackId, number>();
  if (stage?.trackId !== undefined && !stage.isSelf) visible.set(stage.trackId, size.height);
  for (const { trackId, isSelf } of shown)
    if (trackId !== undefined && !isSelf) visible.set(trackId, tileSize.height);
  const visibleKey = [...visible].map(([trackId, height]) => `${trackId}@${Math.round(height)}`).join(' ');
  const latest = useRef(visible);
  useEffect(() => {
    latest.current = visible;
  });
  useEffect(() => {
    // Before the first measurement no video counts as hidden, so that the first pictures need not wait for the layout.
    if (size.width > 0) onVisible(latest.current);
  }, [visibleKey, size.width, onVisible]);

  return (
    <div
      className={`stage ${stage === undefined ? 'is-grid' : wide ? 'is-split-wide' : 'is-split-tall'}`}
      ref={reference}
      data-testid="stage"
    >
      {stage === undefined ? null : (
        <div className="stage-main" data-testid="stage-main">
          <TileView tile={stage} key={stage.key} />
        </div>
      )}
      <div
        className={stage === undefined ? 'grid' : 'filmstrip'}
        data-testid={stage === undefined ? 'grid' : 'filmstrip'}
      >
        {size.width === 0
          ? null
          : shown.map((tile) => (
              <TileView key={tile.key} tile={tile} width={tileSize.width} height={tileSize.height} />
            ))}
      </div>
      {pages > 1 ? (
        <div className="pager" role="group" aria-label="Pages of people">
          <button
            className="icon-button"
            disabled={shownPage === 0}
            onClick={() => {
              setPage(shownPage - 1);
            }}
            aria-label="Previous people"
          >
            <Icon name="left" size={18} />
          </button>
          <span>
            {shownPage + 1} / {pages}
          </span>
          <button
            className="icon-button"
            disabled={shownPage === pages - 1}
            onClick={() => {
              setPage(shownPage + 1);
            }}
            aria-label="More people"
          >
            <Icon name="right" size={18} />
          </button>
        </div>
      ) : null}
    </div>
  );
}
