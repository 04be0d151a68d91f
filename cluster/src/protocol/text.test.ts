import { describe, expect, it } from 'vitest';
import { ERROR_TABLE, PlenaryError } from '../errors.ts';
import { WIRE_ERROR } from './define.ts';
import { CHAT_TEXT, DISPLAY_NAME } from './room.ts';
import { cleanLine, cleanLines, HTTP_URL, lineText, oneLine, TOKEN_TEXT } from './text.ts';

const NOWHERE = {
  'a C0 control character': 'a\u0000b',
  'a vertical tab': 'a\u000bb',
  'a carriage return': 'a\rb',
  'an escape': 'a\u001b[31mb',
  'a DEL': 'a\u007fb',
  'a C1 control character': 'a\u009bb',
  'a next line': 'a\u0085b',
  'a line separator': 'a\u2028b',
  'a paragraph separator': 'a\u2029b',
  'a right-to-left override': 'Ann \u202egnp.exe',
  'an embedding': 'a\u202ab',
  'an isolate': 'a\u2066b\u2069',
  'a high surrogate alone': 'a\ud83db',
  'a low surrogate alone': 'a\ude00b',
  'a noncharacter': 'a\uffffb',
  'a noncharacter of another plane': 'a\u{1fffe}b',
  'the last noncharacter': 'a\u{10ffff}b',
  'an annotation': 'a\ufff9b',
};

describe('texts', () => {
  it('[MS1] names and chat lines contain no character that misleads a reader or a parser', () => {
    for (const [what, text] of Object.entries(NOWHERE)) {
      for (const schema of [DISPLAY_NAME, CHAT_TEXT, lineText(100), TOKEN_TEXT]) {
        expect(schema.safeParse(text).success, what).toBe(false);
      }
    }
    for (const lines of ['a\nb', 'a\tb', 'Ann\n']) {
      expect(DISPLAY_NAME.safeParse(lines).success, JSON.stringify(lines)).toBe(false);
      expect(CHAT_TEXT.safeParse(lines).success, JSON.stringify(lines)).toBe(true);
    }
  });

  it('[MS14] a name or a message that shows nothing is refused', () => {
    for (const unseen of [
      '',
      '  ',
      '\u00a0',
      '\u200b',
      '\u2060\u200d',
      '\u3164',
      '\u115f',
      '\u2800',
      '\u{e0041}',
      '\u200e',
    ]) {
      expect(DISPLAY_NAME.safeParse(unseen).success, JSON.stringify(unseen)).toBe(false);
      expect(CHAT_TEXT.safeParse(unseen).success, JSON.stringify(unseen)).toBe(false);
    }
  });

  it('[MS14] a name of any character that Unicode marks as ignorable in display is refused', () => {
    const shown: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += 1) {
      const character = String.fromCodePoint(code);
      if (!/\p{Default_Ignorable_Code_Point}/u.test(character)) continue;
      if (DISPLAY_NAME.safeParse(character).success) shown.push(code.toString(16));
    }
    expect(shown).toEqual([]);
    expect(DISPLAY_NAME.safeParse('\u{1d159}').success, 'a note without a head').toBe(false);
    expect(DISPLAY_NAME.parse('\u{1d15e}'), 'a half note').toBe('\u{1d15e}'.normalize('NFC'));
  });

  it('[MS15] names in all scripts are accepted, and names that look the same are equal', () => {
    for (const name of [
      'Ann',
      '李雷',
      'مریم‌السادات',
      'אן',
      'Zoë O’Brien-Łukasz',
      '👩‍👩‍👧',
      '🏴󠁧󠁢󠁥󠁮󠁧󠁿',
      '?',
      '‏אן‏ (1)',
    ]) {
      expect(DISPLAY_NAME.parse(name)).toBe(name);
    }
    expect(DISPLAY_NAME.parse('  Ann \u00a0 \u3000 Lee ')).toBe('Ann Lee');
    expect(DISPLAY_NAME.parse('Zoe\u0308')).toBe('Zo\u00eb');
  });

  it('[MS12] lengths are code points', () => {
    expect(DISPLAY_NAME.safeParse('😀'.repeat(64)).success).toBe(true);
    expect(DISPLAY_NAME.safeParse('😀'.repeat(65)).success).toBe(false);
    expect(CHAT_TEXT.safeParse('😀'.repeat(4_000)).success).toBe(true);
    expect(CHAT_TEXT.safeParse('😀'.repeat(4_001)).success).toBe(false);
  });

  it('[MS16] typed or pasted text is cleaned so that it may be sent', () => {
    for (const text of Object.values(NOWHERE)) {
      expect(CHAT_TEXT.safeParse(cleanLines(text)).success, JSON.stringify(text)).toBe(true);
      expect(DISPLAY_NAME.safeParse(cleanLine(text)).success, JSON.stringify(text)).toBe(true);
    }
    expect(cleanLines('a\r\nb\rc\td')).toBe('a\nb\nc\td');
    expect(cleanLine('Ann\tLee\n')).toBe('Ann Lee ');
  });

  it('[MS17] an error text is one line, whatever it quotes', () => {
    const wire = new PlenaryError('malformed_message', 'a\r\nb\u202e').toWire();
    expect(wire.message).toBe(`${ERROR_TABLE.malformed_message.summary} a\uFFFD\uFFFDb\uFFFD`);
    expect(WIRE_ERROR.safeParse(wire).success).toBe(true);
    expect(WIRE_ERROR.safeParse(new PlenaryError('internal', '😀'.repeat(300)).toWire()).success).toBe(true);
    expect(oneLine('fine')).toBe('fine');
  });

  it('[MS18] a URL is http or https, in ASCII', () => {
    expect(HTTP_URL.safeParse('https://edge.example.org:3000/a?b=c').success).toBe(true);
    expect(HTTP_URL.parse(' http://a\n.b')).toBe('http://a.b');
    for (const bad of ['javascript:alert(1)', 'http://ä.example', 'https://a b', 'ws://a']) {
      expect(HTTP_URL.safeParse(bad).success, bad).toBe(false);
    }
  });
});
