// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EINTR;

import io.weft.ffi.Constants;
import io.weft.ffi.LwtCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * An lwt that is a C function. C lets it be joined once, by a thread that may block; here any number of threads of any
 * kind may join. So one of weft's own lwts joins it in C, from the first join here on, and the others wait for that.
 */
final class NativeLwt extends Lwt<Long> {
    private final long handle;
    private final String name;
    private final AtomicBoolean reaping = new AtomicBoolean();

    NativeLwt(Kthd kthd, String name, long handle) {
        super(kthd);
        this.name = name;
        this.handle = handle;
        // Nobody can join it any more: C need not keep its result. A handle that was joined is stale, and harmless.
        AnyChan.CLEANER.register(this, () -> LwtCalls.detach(handle));
    }

    @Override
    void prepareJoin() {
        if (!reaping.compareAndSet(false, true)) {
            return;
        }
        if (LwtCalls.state(handle) == Constants.LWT_ZOMBIE) {
            reap();
            return;
        }
        try {
            kthd().spawn("join " + name, this::reap);
        } catch (RuntimeException | Error e) {
            reaping.set(false);
            throw e;
        }
    }

    private void reap() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_LONG);
            int code;
            do {
                code = LwtCalls.join(handle, value);
            } while (code == -EINTR);
            if (code == 0) {
                succeed(value.get(ValueLayout.JAVA_LONG, 0));
            } else {
                fail(Errors.of(code, "joining a native lwt"));
            }
        } catch (Throwable thrown) {
            fail(thrown);
        }
        finish();
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Optional<Thread> thread() {
        return Optional.empty();
    }

    @Override
    public boolean isAlive() {
        return state() != State.ENDED;
    }

    @Override
    public void interrupt() {
        LwtCalls.interrupt(handle);
    }

    @Override
    public long handle() {
        return super.isAlive() ? handle : 0;
    }
}
