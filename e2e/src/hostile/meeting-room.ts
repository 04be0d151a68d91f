/** The room of the meeting that no attack may disturb. */
export const MEETING_ROOM = 'weekly';
