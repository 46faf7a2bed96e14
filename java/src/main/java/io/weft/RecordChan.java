// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.ETIMEDOUT;

import io.weft.ffi.Constants;
import io.weft.ffi.Ring;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;

/**
 * A channel of records of a fixed size, which lie in memory outside the heap, in the layout of a C struct: C's ends
 * ({@code weft_chan_claim} and {@code weft_chan_take}, with the {@link #handle}) see the same.
 *
 * {@snippet :
 * var x = java.lang.foreign.ValueLayout.JAVA_DOUBLE.withName("x");
 * var y = java.lang.foreign.ValueLayout.JAVA_DOUBLE.withName("y");
 * var point = java.lang.foreign.MemoryLayout.structLayout(x, y);
 * RecordChan points = RecordChan.builder(point).capacity(256).senders(Ends.ONE).receivers(Ends.ONE).create();
 * points.send(record -> {
 *     record.set(x, 0, 1.5);
 *     record.set(y, 8, -2.5);
 * });
 * points.receive(record -> System.out.println(record.get(x, 0)));
 * }
 *
 * <p>A record is read where it lies in the ring. It is written there, too, where there is one sender; where there may
 * be several it is written beside the ring and copied in, so that a slow writer holds up nobody and one that throws
 * has claimed nothing. A lone sender that has to wait does the same, unless there is one receiver. In either case
 * nothing is allocated, once each place of the ring was used: it has a segment of its own, which is kept. A function
 * that is given to {@code send} or {@code receive} is best one that captures nothing, or is kept in a field.
 *
 * <p>The ends that nothing is declared of are {@link Ends#MANY} threads'. Everything that {@link Chan} says of order,
 * waiting, closing and outcomes holds here.
 */
public final class RecordChan extends AnyChan implements RecordSender, RecordReceiver {
    /** The longest record: {@value} bytes. */
    public static final int MAX_BYTES = Constants.RING_MAX_RECORD;

    private static final int SPARES = 16;

    private final MemoryLayout layout;

    /** The memory of each cell's record; made when it is first asked for. */
    private final MemorySegment[] places;

    /** Memory to write records to beside the ring. */
    private final AtomicReferenceArray<MemorySegment> spares = new AtomicReferenceArray<>(SPARES);

    /** The one sender, or receiver, is in the function it gave. */
    private boolean writing;

    private boolean reading;

    private RecordChan(MemoryLayout layout, Builder<RecordChan> builder) {
        super(builder, true, (int) layout.byteSize());
        this.layout = layout;
        this.places = new MemorySegment[ring.cells()];
    }

    /**
     * Describes a channel to be created. Its capacity must be set.
     *
     * @param layout the records': 1 to {@link #MAX_BYTES} bytes, aligned to 8 at most
     * @return a builder with the defaults
     * @throws IllegalArgumentException if the layout's size or alignment is out of range
     */
    public static Builder<RecordChan> builder(MemoryLayout layout) {
        if (layout.byteSize() < 1 || layout.byteSize() > MAX_BYTES) {
            throw new IllegalArgumentException(
                    "a record has 1 to " + MAX_BYTES + " bytes, not " + layout.byteSize());
        }
        if (layout.byteAlignment() > Long.BYTES) {
            throw new IllegalArgumentException("records are aligned to 8 bytes, not to " + layout.byteAlignment());
        }
        return new Builder<>(builder -> new RecordChan(layout, builder));
    }

    /**
     * The channel's handle in C: see {@link LongChan#handle}.
     *
     * @return the handle; 0 when the channel is closed and drained
     */
    public long handle() {
        return handle;
    }

    /**
     * The layout of a record.
     *
     * @return as it was created with
     */
    public MemoryLayout layout() {
        return layout;
    }

    /**
     * The end to send at.
     *
     * @return this, seen from there
     */
    public RecordSender sender() {
        return this;
    }

    /**
     * The end to receive at.
     *
     * @return this, seen from there
     */
    public RecordReceiver receiver() {
        return this;
    }

    // ---- sending ---------------------------------------------------------------------------------------------------

    @Override
    public void send(Consumer<? super MemorySegment> writer) throws InterruptedException {
        Objects.requireNonNull(writer);
        Caller.throwIfInterrupted();
        if (!ring.hasOneSender()) {
            sendCopy(writer, Ring.SENT, null);
        } else if (!putInPlace(writer, Ring.SENT)) {
            sendSlow(writer, Deadline.NEVER);
        }
    }

    @Override
    public boolean send(Consumer<? super MemorySegment> writer, Duration timeout) throws InterruptedException {
        Objects.requireNonNull(writer);
        Objects.requireNonNull(timeout);
        Caller.throwIfInterrupted();
        if (!ring.hasOneSender()) {
            return sendCopy(writer, Ring.SENT, timeout);
        }
        return putInPlace(writer, Ring.SENT) || sendSlow(writer, Deadline.after(timeout));
    }

    @Override
    public boolean trySend(Consumer<? super MemorySegment> writer) {
        Objects.requireNonNull(writer);
        boolean sent = ring.hasOneSender() ? putInPlace(writer, Ring.SENT) : ring.hasRoom() && putCopy(writer);
        if (!sent && ring.isClosed()) {
            throw new ChanClosedException();
        }
        return sent;
    }

    @Override
    public void sendQuietly(Consumer<? super MemorySegment> writer) throws InterruptedException {
        Objects.requireNonNull(writer);
        Caller.throwIfInterrupted();
        if (!ring.hasOneSender()) {
            sendCopy(writer, Constants.RING_CLOSED, null);
        } else if (!putInPlace(writer, Constants.RING_CLOSED)) {
            flush(ring);
            sendSlow(writer, Deadline.NEVER);
        }
    }

    @Override
    public void flush() {
        flush(ring);
    }

    /** The one sender's: nothing is claimed before it is published. False: {@link Ring#claimSend} says no. */
    private boolean putInPlace(Consumer<? super MemorySegment> writer, int look) {
        checkSender(ring);
        if (writing) {
            throw new IllegalStateException("a record is sent while another is being written");
        }
        long position = ring.claimSend();
        if (position < 0) {
            return false;
        }
        write(writer, place(position));
        publish(position, look);
        return true;
    }

    /** The one sender has to wait. What C claims of a pair's ring is not claimed before it is published, either. */
    private boolean sendSlow(Consumer<? super MemorySegment> writer, long deadline) throws InterruptedException {
        Caller caller = Caller.current();
        long position = spins(caller) ? spinToSend(ring, deadline) : Ring.ASK;
        if (position < 0 && !ring.isPair()) {
            return sendCopyWithClaim(caller, writer, deadline);
        }
        if (position < 0) {
            position = claim(caller, deadline);
        }
        if (position >= 0) {
            write(writer, place(position));
            publish(position, Ring.SENT);
        }
        return position >= 0;
    }

    private boolean sendCopyWithClaim(Caller caller, Consumer<? super MemorySegment> writer, long deadline)
            throws InterruptedException {
        MemorySegment spare = takeSpare();
        try {
            write(writer, spare);
            return publishCopy(claim(caller, deadline), spare, Ring.SENT);
        } finally {
            giveSpare(spare);
        }
    }

    /** One of many senders. {@code timeout}: null for none. */
    private boolean sendCopy(Consumer<? super MemorySegment> writer, int look, Duration timeout)
            throws InterruptedException {
        MemorySegment spare = takeSpare();
        try {
            writer.accept(spare);
            long position = ring.claimSend();
            if (position < 0) {
                flush(ring);
                position = awaitRoom(timeout == null ? Deadline.NEVER : Deadline.after(timeout));
            }
            return publishCopy(position, spare, look);
        } finally {
            giveSpare(spare);
        }
    }

    private boolean putCopy(Consumer<? super MemorySegment> writer) {
        MemorySegment spare = takeSpare();
        try {
            writer.accept(spare);
            return publishCopy(ring.claimSend(), spare, Ring.SENT);
        } finally {
            giveSpare(spare);
        }
    }

    private boolean publishCopy(long position, MemorySegment spare, int look) {
        if (position >= 0) {
            ring.copyIn(position, spare.address());
            publish(position, look);
        }
        return position >= 0;
    }

    private long awaitRoom(long deadline) throws InterruptedException {
        Caller caller = Caller.current();
        long position = spins(caller) ? spinToSend(ring, deadline) : Ring.ASK;
        return position >= 0 ? position : claim(caller, deadline);
    }

    /** Waits in C; {@link Ring#NONE} if the time is over. */
    private long claim(Caller caller, long deadline) throws InterruptedException {
        int code = caller.claim(open(), deadline);
        if (code == 0) {
            return caller.value;
        }
        if (code == -ETIMEDOUT) {
            return Ring.NONE;
        }
        throw sendFailed(code);
    }

    private void publish(long position, int look) {
        ring.publish(position);
        if (ring.finds(look) && !tellSent(ring, position)) {
            throw new ChanClosedException();
        }
        Reference.reachabilityFence(this);
    }

    /** The one sender's writer runs. */
    private void write(Consumer<? super MemorySegment> writer, MemorySegment place) {
        writing = true;
        try {
            writer.accept(place);
        } finally {
            writing = false;
        }
    }

    private MemorySegment takeSpare() {
        int first = (int) Thread.currentThread().threadId();
        for (int i = 0; i < SPARES; i++) {
            int index = first + i & SPARES - 1;
            if (spares.getPlain(index) != null) {
                MemorySegment spare = spares.getAndSet(index, null);
                if (spare != null) {
                    return spare;
                }
            }
        }
        MemorySegment spare = Arena.ofAuto().allocate(layout.byteSize() + Long.BYTES - 1 & -Long.BYTES, Long.BYTES);
        return spare.asSlice(0, layout.byteSize());
    }

    private void giveSpare(MemorySegment spare) {
        int first = (int) Thread.currentThread().threadId();
        for (int i = 0; i < SPARES; i++) {
            if (spares.compareAndSet(first + i & SPARES - 1, null, spare)) {
                return;
            }
        }
    }

    // ---- receiving -------------------------------------------------------------------------------------------------

    @Override
    public void receive(Consumer<? super MemorySegment> reader) throws InterruptedException {
        Objects.requireNonNull(reader);
        Caller.throwIfInterrupted();
        long position = find();
        get(reader, position >= 0 ? position : await(Deadline.NEVER));
    }

    @Override
    public boolean receive(Consumer<? super MemorySegment> reader, Duration timeout) throws InterruptedException {
        Objects.requireNonNull(reader);
        Objects.requireNonNull(timeout);
        Caller.throwIfInterrupted();
        long position = find();
        return get(reader, position >= 0 ? position : await(Deadline.after(timeout)));
    }

    @Override
    public boolean tryReceive(Consumer<? super MemorySegment> reader) {
        Objects.requireNonNull(reader);
        return get(reader, poll());
    }

    @Override
    public int drain(Consumer<? super MemorySegment> reader, int limit) {
        Objects.requireNonNull(reader);
        long last = Ring.NONE;
        int count = 0;
        try {
            for (; count < limit; count++) {
                long position = count == 0 ? poll() : pollAgain();
                if (position < 0) {
                    break;
                }
                last = position;
                read(reader, position);
            }
        } finally {
            if (last >= 0 && ring.finds(Ring.RECEIVED)) {
                tellReceived(last);
            }
            Reference.reachabilityFence(this);
        }
        return count;
    }

    @Override
    public void forEach(Consumer<? super MemorySegment> reader) throws InterruptedException {
        Objects.requireNonNull(reader);
        for (;;) {
            Caller.throwIfInterrupted();
            long position;
            try {
                position = find();
                position = position >= 0 ? position : await(Deadline.NEVER);
            } catch (ChanClosedException drained) {
                return;
            }
            get(reader, position);
        }
    }

    /** As {@link Ring#claimReceive}. Within the one receiver's reader it would find the same again. */
    private long find() {
        checkReceiver(ring);
        if (reading) {
            throw new IllegalStateException("a record is received while another is being read");
        }
        return ring.claimReceive();
    }

    /** The position of a record, {@link Ring#NONE} if there is none. */
    private long poll() {
        long position = find();
        if (position >= 0 || !ring.isClosed()) {
            return position;
        }
        Caller caller = Caller.current();
        return taken(caller, caller.takeNow(open()));
    }

    /** After another one: that it is drained is no news then. */
    private long pollAgain() {
        try {
            return poll();
        } catch (ChanClosedException drained) {
            return Ring.NONE;
        }
    }

    /** Waits for a record: its position, {@link Ring#NONE} if the time is over. */
    private long await(long deadline) throws InterruptedException {
        Caller caller = Caller.current();
        long position = spins(caller) ? spinToReceive(ring, deadline) : Ring.ASK;
        return position >= 0 ? position : taken(caller, caller.take(open(), deadline));
    }

    private long taken(Caller caller, int code) {
        Reference.reachabilityFence(this);
        if (code == 0) {
            return caller.value;
        }
        if (code == -EAGAIN || code == -ETIMEDOUT) {
            return Ring.NONE;
        }
        throw receiveFailed(code);
    }

    /** Receives what was claimed, if anything was. */
    private boolean get(Consumer<? super MemorySegment> reader, long position) {
        if (position < 0) {
            return false;
        }
        try {
            read(reader, position);
        } finally {
            if (ring.finds(Ring.RECEIVED)) {
                tellReceived(position);
            }
            Reference.reachabilityFence(this);
        }
        return true;
    }

    /** Reads, and frees the place. */
    private void read(Consumer<? super MemorySegment> reader, long position) {
        boolean one = ring.hasOneReceiver();
        try {
            if (one) {
                reading = true;
            }
            reader.accept(place(position));
        } finally {
            if (one) {
                reading = false;
            }
            ring.free(position);
        }
    }

    private MemorySegment place(long position) {
        int cell = ring.cell(position);
        MemorySegment place = places[cell];
        if (place == null) {
            place = ring.place(cell);
            places[cell] = place;
        }
        return place;
    }
}
