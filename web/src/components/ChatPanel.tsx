import { useEffect, useRef, useState } from 'react';
import { MAX_CHAT_TEXT_LENGTH } from '@plenary/cluster/protocol';
import { errorForPeople, type MeetingSnapshot, type OutgoingChat } from '../client/index.ts';
import { chatPieces } from '../state/chat-text.ts';
import { Icon } from './Icon.tsx';
import { PanelFrame } from './PanelFrame.tsx';

export interface ChatPanelProps {
  readonly snapshot: MeetingSnapshot;
  readonly onClose: () => void;
  readonly onPost: (text: string) => boolean;
  readonly onRetry: (requestId: OutgoingChat['requestId']) => void;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

function ChatText({ text }: { readonly text: string }) {
  return (
    <p className="chat-text">
      {chatPieces(text).map((piece, index) =>
        piece.type === 'text' ? (
          piece.text
        ) : (
          <a key={index} href={piece.href} target="_blank" rel="noopener noreferrer nofollow">
            {piece.text}
          </a>
        ),
      )}
    </p>
  );
}

/** The chat of the meeting. The user's own messages show whether they were sent. */
export function ChatPanel({ snapshot, onClose, onPost, onRetry }: ChatPanelProps) {
  const { room, ownPeerIds, outbox } = snapshot;
  const [draft, setDraft] = useState('');
  const list = useRef<HTMLOListElement | null>(null);
  const input = useRef<HTMLTextAreaElement | null>(null);
  const newest = room.chat.at(-1)?.messageId;
  useEffect(() => {
    list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [newest, outbox.length]);
  useEffect(() => {
    input.current?.focus();
  }, []);

  const post = (): void => {
    if (onPost(draft)) setDraft('');
  };
  return (
    <PanelFrame title="Chat" onClose={onClose} testId="chat-panel">
      <ol className="chat" ref={list} data-testid="chat-list" aria-live="polite">
        {room.chat.length === 0 && outbox.length === 0 ? (
          <li className="chat-empty">
            <Icon name="chat" size={30} />
            Nothing here yet. What you write, everybody in the meeting can read.
          </li>
        ) : null}
        {room.chat.map((message, index) => {
          const own = ownPeerIds.has(message.peerId);
          const previous = room.chat[index - 1];
          const follows =
            previous?.peerId === message.peerId && message.sentAtMs - previous.sentAtMs < 120_000;
          return (
            <li
              key={message.messageId}
              className={`chat-message ${own ? 'is-own' : ''}`}
              data-testid="chat-message"
              data-peer-id={message.peerId}
              data-status="posted"
            >
              {follows ? null : (
                <span className="chat-by">
                  {own ? 'You' : message.displayName}
                  <time dateTime={new Date(message.sentAtMs).toISOString()}>
                    {TIME.format(message.sentAtMs)}
                  </time>
                </span>
              )}
              <ChatText text={message.text} />
            </li>
          );
        })}
        {outbox.map((message) => (
          <li
            key={message.requestId}
            className={`chat-message is-own is-${message.status}`}
            data-testid="chat-message"
            data-status={message.status}
          >
            <ChatText text={message.text} />
            {message.status === 'failed' ? (
              <span className="chat-failed" role="alert">
                Not sent: {errorForPeople(message.errorCode ?? 'internal').title.toLowerCase()}.{' '}
                <button
                  className="link-button"
                  onClick={() => onRetry(message.requestId)}
                  data-testid="chat-retry"
                >
                  Try again
                </button>
              </span>
            ) : null}
          </li>
        ))}
      </ol>
      <form
        className="chat-form"
        onSubmit={(event) => {
          event.preventDefault();
          post();
        }}
      >
        <textarea
          ref={input}
          value={draft}
          rows={1}
          maxLength={MAX_CHAT_TEXT_LENGTH}
          placeholder="Message everybody"
          aria-label="Message everybody"
          onChange={(event) => setDraft(event.target.value)}
          onKeyDown={(event) => {
            // Enter while an input method composes a character chooses that character.
            if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            post();
          }}
          data-testid="chat-input"
        />
        <button
          className="button is-icon"
          aria-label="Send"
          disabled={draft.trim() === ''}
          data-testid="chat-send"
        >
          <Icon name="send" size={20} />
        </button>
      </form>
    </PanelFrame>
  );
}
