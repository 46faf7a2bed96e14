// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EBADF;
import static io.weft.ffi.Errno.EPIPE;
import static io.weft.ffi.Errno.ETIMEDOUT;

import io.weft.ffi.Constants;
import io.weft.ffi.Layouts;
import io.weft.ffi.Ring;
import io.weft.ffi.SelectCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;

/**
 * Waits for sends and receives on several channels, and does one of them. Made once and used again and again: a
 * selection by an lwt or a platform thread allocates nothing.
 *
 * {@snippet :
 * Chan<String> words = Chan.create(8);
 * LongChan stops = LongChan.create(0);
 * Select select = Select.fifo();
 * int word = select.receive(words);
 * int stop = select.receive(stops);
 * while (select.await() == word && !select.isClosed()) {
 *     System.out.println(select.object(words));
 * }
 * boolean stopped = select.fired() == stop;
 * }
 *
 * <p>One case fires, or none: the messages of the others are not sent, and nothing is received for them. That none can
 * fire is found of one instant: as long as one of the channels is ready at every moment, {@link #poll} fires a case. A
 * channel may stand in several cases, also at both ends: a select does not meet itself.
 *
 * <p>The case of a channel that is closed fires, too; one that receives, after what is buffered. {@link #isClosed} says
 * so, and the message cannot be had then. Such a case fires each time: {@link #enable} can switch it off.
 *
 * <p>Which one fires of several that can, is chosen when it is made. If none can and the select waits, it is the one
 * whose partner comes first. The thread may be of any kind, but only one uses a select at a time.
 */
public final class Select {
    /** In place of a case: none has fired. */
    public static final int NONE = -1;

    /** The most cases that a select can have: {@value}. */
    public static final int MAX_CASES = Constants.SELECT_MAX_CASES;

    private static final long CASE_BYTES = Layouts.CASE.byteSize();
    private static final int FIRST_ROOM = 4;

    /** What a case's word is in C: a long; the number of a slot that holds the object; a position in the ring. */
    private enum Kind {
        WORD,
        SLOT,
        PLACE
    }

    private final int order;
    private int count;
    private MemorySegment cases = allocate(FIRST_ROOM);

    /** For callers that start a select and wait in a way of their own; null as long as there was none. */
    private MemorySegment ops;

    /** By case: the channel, whether it sends, what its word is, the object to send, whether it is switched on. */
    private AnyChan[] chans = new AnyChan[FIRST_ROOM];

    private boolean[] sends = new boolean[FIRST_ROOM];
    private Kind[] kinds = new Kind[FIRST_ROOM];
    private Object[] messages = new Object[FIRST_ROOM];
    private boolean[] enabled = new boolean[FIRST_ROOM];

    /** Of the cases before this one the objects to be sent are in slots. */
    private int filled;

    private int fired = NONE;
    private boolean closed;
    private Object object;

    private Select(int order) {
        Startup.ensure();
        this.order = order;
    }

    /**
     * A fair select: of the cases that can fire, the next one after that which fired last. So each that stays ready
     * fires at least once in as many selections as there are cases.
     *
     * @return a select without cases
     */
    public static Select fifo() {
        return new Select(Constants.SELECT_FIFO);
    }

    /**
     * A select that prefers the case that was added first.
     *
     * @return a select without cases
     */
    public static Select priority() {
        return new Select(Constants.SELECT_PRIORITY);
    }

    /**
     * A select by chance, in which each case that can fire is as likely as the others.
     *
     * @return a select without cases
     */
    public static Select random() {
        return new Select(Constants.SELECT_RANDOM);
    }

    // ---- cases -----------------------------------------------------------------------------------------------------

    /**
     * Adds the receive of a long.
     *
     * @param chan where from
     * @return the case's number: 0, 1, 2 and so on, in the order in which they are added
     * @throws LimitExceededException if there are {@link #MAX_CASES} already
     */
    public int receive(LongChan chan) {
        return add(chan, Kind.WORD, Constants.SELECT_RECEIVE, null);
    }

    /**
     * Adds the receive of an object.
     *
     * @param chan where from
     * @return the case's number
     * @throws LimitExceededException if there are {@link #MAX_CASES} already
     */
    public int receive(Chan<?> chan) {
        return add(chan, kind(chan), Constants.SELECT_RECEIVE, null);
    }

    /**
     * Adds the send of a long.
     *
     * @param chan where to
     * @param value what to send, each time, until {@link #toSend(int, long)} says otherwise
     * @return the case's number
     * @throws LimitExceededException if there are {@link #MAX_CASES} already
     */
    public int send(LongChan chan, long value) {
        int index = add(chan, Kind.WORD, Constants.SELECT_SEND, null);
        word(index, value);
        return index;
    }

    /**
     * Adds the send of an object.
     *
     * @param <T> the type of the channel's messages
     * @param chan where to
     * @param message what to send, each time, until {@link #toSend(int, Chan, Object)} says otherwise
     * @return the case's number
     * @throws LimitExceededException if there are {@link #MAX_CASES} already
     */
    public <T> int send(Chan<T> chan, T message) {
        return add(chan, kind(chan), Constants.SELECT_SEND, Objects.requireNonNull(message));
    }

    /**
     * Changes what a case sends.
     *
     * @param index the case
     * @param value the long to send from now on
     * @throws IllegalArgumentException if the case does not send a long
     */
    public void toSend(int index, long value) {
        require(kinds[Objects.checkIndex(index, count)] == Kind.WORD && sends[index], "it sends no long");
        word(index, value);
    }

    /**
     * Changes what a case sends.
     *
     * @param <T> the type of the channel's messages
     * @param index the case
     * @param chan its channel
     * @param message the object to send from now on
     * @throws IllegalArgumentException if the case does not send to this channel
     */
    public <T> void toSend(int index, Chan<T> chan, T message) {
        require(chans[Objects.checkIndex(index, count)] == chan && sends[index], "it does not send to this channel");
        messages[index] = Objects.requireNonNull(message);
    }

    /**
     * Switches a case on or off. One that is off never fires. All are on at first.
     *
     * @param index the case
     * @param on whether it may fire from now on
     */
    public void enable(int index, boolean on) {
        Objects.checkIndex(index, count);
        if (enabled[index] != on) {
            enabled[index] = on;
            int op = sends[index] ? Constants.SELECT_SEND : Constants.SELECT_RECEIVE;
            cases.set(ValueLayout.JAVA_INT, index * CASE_BYTES + Layouts.CASE_OP, on ? op : Constants.SELECT_SKIP);
        }
    }

    // ---- selecting -------------------------------------------------------------------------------------------------

    /**
     * Waits until a case can fire, and fires it.
     *
     * @return its number
     * @throws InterruptedException if the caller was or is interrupted; then no case has fired
     * @throws IllegalStateException if there is no case, or one is of a channel with one sender or receiver, which is
     *     another thread
     */
    public int await() throws InterruptedException {
        return select(Deadline.NEVER);
    }

    /**
     * The same, but waits for no longer than a time-out.
     *
     * @param timeout the longest to wait; zero or negative: not at all
     * @return the number of the case that fired, or {@link #NONE} if the time is over
     * @throws InterruptedException as {@link #await()}
     * @throws IllegalStateException as {@link #await()}
     */
    public int await(Duration timeout) throws InterruptedException {
        return select(Deadline.after(timeout));
    }

    /**
     * Fires a case if one can. Does not wait.
     *
     * @return its number, or {@link #NONE}
     * @throws IllegalStateException as {@link #await()}
     */
    public int poll() {
        begin();
        int code = -EAGAIN;
        try {
            fillSlots();
            long self = Caller.current() instanceof LwtCaller lwt ? lwt.self : 0;
            code = SelectCalls.selectAs(self, cases, count, order, Long.MIN_VALUE);
        } finally {
            emptySlots(code);
        }
        return end(code);
    }

    private int select(long deadline) throws InterruptedException {
        Caller.throwIfInterrupted();
        begin();
        int code = -EAGAIN;
        try {
            fillSlots();
            code = Caller.current().select(this, deadline);
        } finally {
            emptySlots(code);
        }
        return end(code);
    }

    /**
     * The case that fired last.
     *
     * @return its number, or {@link #NONE} if the last selection fired none
     */
    public int fired() {
        return fired;
    }

    /**
     * Whether the case that fired did so because its channel is closed: nothing was sent or received.
     *
     * @return true if it is closed
     */
    public boolean isClosed() {
        return closed;
    }

    /**
     * The long that was received.
     *
     * @return the message
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException if the case that fired receives no long
     */
    public long value() {
        requireReceived(fired != NONE && kinds[fired] == Kind.WORD && !sends[fired], "no long was received");
        return word(fired);
    }

    /**
     * The object that was received.
     *
     * @return the message
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException if the case that fired receives no object
     */
    public Object object() {
        requireReceived(fired != NONE && kinds[fired] != Kind.WORD && !sends[fired], "no object was received");
        return object;
    }

    /**
     * The object that was received from a channel.
     *
     * @param <T> the type of the channel's messages
     * @param chan the channel of the case that fired
     * @return the message
     * @throws ChanClosedException if the channel is closed and drained
     * @throws IllegalStateException if nothing was received from this channel
     */
    @SuppressWarnings("unchecked")
    public <T> T object(Chan<T> chan) {
        requireReceived(fired != NONE && chans[fired] == chan && !sends[fired], "nothing was received from it");
        return (T) object;
    }

    // ---- what the callers do ---------------------------------------------------------------------------------------

    int selectAs(long self, long deadline) {
        return SelectCalls.selectAs(self, cases, count, order, deadline);
    }

    /** Starts the select; if it is then under way, {@link #op} is to be waited for, and {@link #finish} called. */
    int start(long token) {
        if (ops == null) {
            int room = chans.length + 1;
            ops = Arena.ofAuto().allocate(room * Layouts.OP.byteSize(), Layouts.OP_ALIGNMENT);
        }
        return SelectCalls.start(cases, count, order, ops, token);
    }

    MemorySegment op() {
        return ops;
    }

    int finish() {
        return SelectCalls.finish(cases, count, order, ops);
    }

    // ---- before and after ------------------------------------------------------------------------------------------

    /** Claims single ends. */
    private void begin() {
        if (count == 0) {
            throw new IllegalStateException("a select without cases");
        }
        fired = NONE;
        closed = false;
        object = null;
        for (int i = 0; i < count; i++) {
            Ring ring = enabled[i] ? chans[i].ring : null;
            if (ring != null) {
                checkEnd(i, ring);
            }
        }
    }

    /** Puts objects where C can move them. */
    private void fillSlots() {
        for (; filled < count; filled++) {
            if (sendsSlot(filled)) {
                int slot = ObjectTable.take();
                ObjectTable.put(slot, messages[filled]);
                word(filled, slot);
            }
        }
    }

    private void checkEnd(int index, Ring ring) {
        try {
            if (sends[index]) {
                chans[index].checkSender(ring);
            } else {
                chans[index].checkReceiver(ring);
            }
        } catch (ChanClosedException closedAndDrained) {
            // C will say so of the case.
        }
    }

    /** Of the cases that have not sent. */
    private void emptySlots(int code) {
        while (filled > 0) {
            filled--;
            if (sendsSlot(filled) && (filled != code || result(filled) < 0)) {
                emptySlot(filled);
            }
        }
    }

    private boolean sendsSlot(int index) {
        return enabled[index] && sends[index] && kinds[index] == Kind.SLOT;
    }

    private Object emptySlot(int index) {
        int slot = (int) word(index);
        Object content = ObjectTable.remove(slot);
        ObjectTable.give(slot);
        return content;
    }

    private int end(int code) {
        Reference.reachabilityFence(this);
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return NONE;
        }
        int index = code == -EBADF ? freed() : code;
        if (index < 0) {
            throw Errors.of(code, "selecting");
        }
        fired = index;
        closed = result(index) < 0;
        try {
            if (closed && !sends[index]) {
                // Closed and drained: it is of no use any more.
                chans[index].receiveFailed(-EPIPE);
            } else if (!closed && kinds[index] != Kind.WORD) {
                complete(index);
            }
        } catch (ChanClosedException closedSince) {
            closed = true;
        }
        return index;
    }

    /** A channel that is freed is one that was closed. */
    private int freed() {
        int index = 0;
        while (index < count && result(index) != -EBADF) {
            index++;
        }
        return index < count ? index : -EBADF;
    }

    private void complete(int index) {
        if (kinds[index] == Kind.PLACE) {
            object = place((Chan<?>) chans[index], index);
        } else if (!sends[index]) {
            object = emptySlot(index);
        }
    }

    private <T> T place(Chan<T> chan, int index) {
        if (!sends[index]) {
            return chan.get(chan.ring, word(index), Ring.RECEIVED);
        }
        @SuppressWarnings("unchecked") // it was given together with the channel
        T message = (T) messages[index];
        chan.put(chan.ring, word(index), message, Ring.SENT);
        return null;
    }

    // ---- plumbing --------------------------------------------------------------------------------------------------

    private static Kind kind(Chan<?> chan) {
        return chan.ring == null ? Kind.SLOT : Kind.PLACE;
    }

    private int add(AnyChan chan, Kind kind, int op, Object message) {
        if (count == chans.length) {
            grow();
        }
        int index = count++;
        chans[index] = chan;
        kinds[index] = kind;
        messages[index] = message;
        enabled[index] = true;
        cases.set(ValueLayout.JAVA_LONG, index * CASE_BYTES + Layouts.CASE_CHAN, chan.id);
        cases.set(ValueLayout.JAVA_INT, index * CASE_BYTES + Layouts.CASE_OP, op);
        sends[index] = op == Constants.SELECT_SEND;
        return index;
    }

    private void grow() {
        if (count == MAX_CASES) {
            throw new LimitExceededException(
                    "a select has at most " + MAX_CASES + " cases", "cases of a select", MAX_CASES, null);
        }
        int room = Math.min(2 * count, MAX_CASES);
        cases = allocate(room).copyFrom(cases);
        ops = null;
        chans = Arrays.copyOf(chans, room);
        kinds = Arrays.copyOf(kinds, room);
        messages = Arrays.copyOf(messages, room);
        enabled = Arrays.copyOf(enabled, room);
        sends = Arrays.copyOf(sends, room);
    }

    private static MemorySegment allocate(int room) {
        return Arena.ofAuto().allocate(room * CASE_BYTES, Long.BYTES);
    }

    private int result(int index) {
        return cases.get(ValueLayout.JAVA_INT, index * CASE_BYTES + Layouts.CASE_RESULT);
    }

    private long word(int index) {
        return cases.get(ValueLayout.JAVA_LONG, index * CASE_BYTES + Layouts.CASE_VALUE);
    }

    private void word(int index, long value) {
        cases.set(ValueLayout.JAVA_LONG, index * CASE_BYTES + Layouts.CASE_VALUE, value);
    }

    private void requireReceived(boolean received, String otherwise) {
        if (!received) {
            throw new IllegalStateException(otherwise);
        }
        if (closed) {
            throw new ChanClosedException();
        }
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(otherwise);
        }
    }
}
