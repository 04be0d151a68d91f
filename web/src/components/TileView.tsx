import { memo } from 'react';
import { useMediaElement } from '../hooks/use-media-element.ts';
import { CANNOT_SHOW, NOTHING_NEW, NO_SIGNAL } from '../state/notices.ts';
import type { Tile, Trouble } from '../state/tiles.ts';
import { Avatar } from './Avatar.tsx';
import { Icon } from './Icon.tsx';

const TROUBLES: Readonly<Record<Trouble, string>> = {
  'no-signal': NO_SIGNAL,
  'nothing-new': NOTHING_NEW,
  'cannot-show': CANNOT_SHOW,
};

export interface TileViewProps {
  readonly tile: Tile;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

function Video({ tile, track }: { readonly tile: Tile; readonly track: MediaStreamTrack }) {
  const reference = useMediaElement<HTMLVideoElement>(track);
  const mirrored = tile.isSelf && tile.source === 'camera';
  return (
    <video
      ref={reference}
      className={`tile-video ${mirrored ? 'is-mirrored' : ''} ${tile.source === 'screen' ? 'is-screen' : ''}`}
      autoPlay
      playsInline
      muted
      data-testid="tile-video"
    />
  );
}

/** A person's camera or screen, with the name and the marks for muted and speaking. */
export const TileView = memo(function TileView({ tile, width, height }: TileViewProps) {
  const what = tile.source === 'screen' ? `Screen of ${tile.name}` : tile.name;
  const states = [
    tile.isSelf ? 'you' : '',
    tile.source === 'camera' && tile.micMuted ? 'muted' : '',
    tile.video === undefined ? 'no picture' : '',
    tile.trouble === undefined ? '' : TROUBLES[tile.trouble].toLowerCase(),
    tile.speaking ? 'speaking' : '',
    tile.hand === undefined ? '' : 'hand raised',
  ].filter(Boolean);
  const avatarSize = Math.max(40, Math.min(128, Math.min(width ?? 300, height ?? 200) * 0.42));
  return (
    <div
      className={`tile ${tile.speaking && tile.source === 'camera' ? 'is-speaking' : ''} ${tile.trouble === undefined || tile.trouble === 'nothing-new' ? '' : 'is-troubled'}`}
      style={width === undefined ? undefined : { width, height }}
      role="group"
      aria-label={[what, ...states].join(', ')}
      data-testid="tile"
      data-peer-id={tile.peerId}
      data-peer-name={tile.name}
      data-source={tile.source}
      data-self={tile.isSelf}
      data-has-video={tile.video !== undefined}
      data-speaking={tile.speaking}
      data-muted={tile.micMuted}
      data-trouble={tile.trouble}
    >
      {tile.video === undefined ? (
        <Avatar name={tile.name} id={tile.peerId} size={avatarSize} />
      ) : (
        <Video tile={tile} track={tile.video} />
      )}
      {tile.trouble === undefined ? null : (
        <span className="tile-trouble" aria-hidden="true" data-testid="tile-trouble">
          <Icon name="warning" size={16} />
          {TROUBLES[tile.trouble]}
        </span>
      )}
      {tile.hand === undefined ? null : (
        <span className="tile-hand" aria-hidden="true" data-testid="tile-hand">
          <Icon name="hand" size={16} />
          {tile.hand}
        </span>
      )}
      {tile.waiting ? (
        <span className="tile-waiting">
          <span className="spinner" aria-hidden="true" />
          <span className="sr-only">Picture is coming</span>
        </span>
      ) : null}
      <span className="tile-label">
        {tile.source === 'camera' && tile.micMuted ? <Icon name="mic-off" size={15} /> : null}
        {tile.source === 'screen' ? <Icon name="screen" size={15} /> : null}
        <span className="tile-name">
          {what}
          {tile.isSelf ? ' (you)' : ''}
        </span>
      </span>
    </div>
  );
});
