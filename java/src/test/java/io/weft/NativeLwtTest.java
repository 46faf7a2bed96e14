// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.weft.ffi.Errno;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Lwts that are C functions. Their bodies are functions that take and return one word: {@code labs} of the C library
 * ends at once, {@code weft_lwt_park} waits until it is unparked or interrupted, {@code weft_chan_close} is a use of
 * weft from within.
 */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class NativeLwtTest {
    private static final long FOREVER = Long.MAX_VALUE;

    private Kthd kthd;

    /** The address of a function of the C library or of weft. */
    static MemorySegment function(String name) {
        SymbolLookup weft = SymbolLookup.loaderLookup();
        return weft.find(name)
                .or(() -> Linker.nativeLinker().defaultLookup().find(name))
                .orElseThrow();
    }

    @BeforeEach
    void start() {
        kthd = Kthd.start();
    }

    @AfterEach
    void close() {
        kthd.close();
    }

    @Test
    void joinGivesTheWordThatTheFunctionReturned() throws Exception {
        Lwt<Long> lwt = kthd.spawnNative(function("labs"), -42);
        assertEquals(42L, lwt.join());
        assertEquals(42L, lwt.join());
        assertFalse(lwt.isAlive());
        assertEquals(Lwt.State.ENDED, lwt.state());
        assertEquals(0, lwt.handle());
    }

    @Test
    void itHasANameAndNoThread() throws Exception {
        Lwt<Long> lwt = kthd.spawnNative("parked", function("weft_lwt_park"), FOREVER);
        assertEquals("parked", lwt.name());
        assertEquals(Optional.empty(), lwt.thread());
        Callers.await(() -> lwt.state() == Lwt.State.BLOCKED);
        assertTrue(lwt.isAlive());
        assertTrue(lwt.handle() != 0);
        assertFalse(kthd.tryClose());
        lwt.interrupt();
        assertEquals(-Errno.EINTR, (int) (long) lwt.join());
    }

    @ParameterizedTest
    @EnumSource
    void threadsOfEveryKindJoin(Callers.Kind kind) throws Exception {
        try (Callers callers = new Callers(kind)) {
            Lwt<Long> lwt = kthd.spawnNative(function("weft_lwt_park"), FOREVER);
            List<Callers.Work<Long>> joiners = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                joiners.add(callers.start(lwt::join));
            }
            assertFalse(callers.start(() -> lwt.join(Duration.ofMillis(2))).get());
            lwt.interrupt();
            for (Callers.Work<Long> joiner : joiners) {
                assertEquals(-Errno.EINTR, (int) (long) joiner.get());
            }
        }
    }

    @Test
    void itUsesChannelsThatJavaSees() throws Exception {
        LongChan chan = LongChan.create(0);
        assertEquals(0, (int) (long) kthd.spawnNative(function("weft_chan_close"), chan.handle()).join());
        assertThrows(ChanClosedException.class, () -> chan.trySend(1));
    }

    @Test
    void aJavaFunctionIsRefused() throws Exception {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment stub = Linker.nativeLinker()
                    .upcallStub(
                            MethodHandles.identity(long.class).asType(MethodType.methodType(long.class, long.class)),
                            FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG),
                            arena);
            assertThrows(IllegalArgumentException.class, () -> kthd.spawnNative(stub, 1));
        }
    }

    @Test
    void nullIsNoFunction() {
        assertThrows(IllegalArgumentException.class, () -> kthd.spawnNative(MemorySegment.NULL, 1));
        assertThrows(NullPointerException.class, () -> kthd.spawnNative(null, 1));
        assertThrows(NullPointerException.class, () -> kthd.spawnNative(null, function("labs"), 1));
    }

    @Test
    void oneThatSomebodyElseJoinedInCSaysSo() throws Exception {
        Lwt<Long> lwt = kthd.spawnNative(function("labs"), 1);
        assertEquals(0, io.weft.ffi.LwtCalls.detach(lwt.handle()));
        Throwable cause = assertThrows(LwtFailedException.class, lwt::join).getCause();
        assertTrue(cause instanceof ClosedException || cause instanceof IllegalArgumentException, cause.toString());
    }

    @Test
    void thoseThatNobodyJoinsLeaveNothing() throws Exception {
        MemorySegment labs = function("labs");
        for (int i = 0; i < 1000; i++) {
            kthd.spawnNative(labs, i);
        }
        Callers.await(() -> {
            System.gc();
            return kthd.info().zombies() == 0;
        });
    }

    @Test
    void tenThousandRunAndAreJoined() throws Exception {
        MemorySegment labs = function("labs");
        List<Lwt<Long>> lwts = new ArrayList<>();
        for (long i = 0; i < 10_000; i++) {
            lwts.add(kthd.spawnNative(labs, -i));
        }
        long sum = 0;
        for (Lwt<Long> lwt : lwts) {
            sum += lwt.join();
        }
        assertEquals(49_995_000, sum);
    }

    @Test
    void closeWaitsForThem() throws Exception {
        Kthd own = Kthd.start();
        Lwt<Long> lwt = own.spawnNative(function("weft_lwt_park"), FOREVER);
        try (Callers callers = new Callers(Callers.Kind.VIRTUAL)) {
            Callers.Work<Void> closer = callers.start(() -> {
                own.close();
                return null;
            });
            Callers.await(own::isClosed);
            assertFalse(closer.isDone());
            lwt.interrupt();
            closer.get();
        }
        // Its record outlives the kthd.
        assertEquals(-Errno.EINTR, (int) (long) lwt.join());
    }
}
