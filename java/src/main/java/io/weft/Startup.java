// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.Constants;
import io.weft.ffi.JvmCalls;
import io.weft.ffi.Library;
import io.weft.ffi.LibraryException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * What happens once, before the first object of weft is made: the library is loaded, and prepares the process. Every
 * constructor and factory passes here first, so that no other code of this package meets a missing library.
 */
final class Startup {
    /** {@code off}: leave libjvm alone. An lwt that blocks in the VM then holds up its kthd. */
    private static final String HOOK_PROPERTY = "weft.hook";

    private static final int SENTENCE_BYTES = 512;

    private static final String FAILURE;
    private static final Throwable CAUSE;

    static {
        String failure = null;
        Throwable cause = null;
        Optional<LibraryException> missing = Library.failure();
        if (missing.isPresent()) {
            failure = missing.get().getMessage();
            cause = missing.get();
        } else {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment sentence = arena.allocate(SENTENCE_BYTES);
                int result = JvmCalls.attach(flags(), sentence, SENTENCE_BYTES);
                if (result < 0) {
                    failure = sentence.getString(0);
                } else if (result == Constants.JVM_UNHOOKED) {
                    warn("an lwt that blocks in the VM holds up its kthd: " + sentence.getString(0));
                } else if (!sentence.getString(0).isEmpty()) {
                    warn(sentence.getString(0));
                }
            } catch (LibraryException e) {
                failure = e.getMessage();
                cause = e;
            }
        }
        FAILURE = failure;
        CAUSE = cause;
    }

    private Startup() {}

    /** Throws {@link WeftUnavailableException} if weft cannot run in this process. */
    static void ensure() {
        if (FAILURE != null) {
            throw new WeftUnavailableException(FAILURE, CAUSE);
        }
    }

    private static int flags() {
        return "off".equals(System.getProperty(HOOK_PROPERTY)) ? Constants.JVM_NO_HOOK : 0;
    }

    private static void warn(String sentence) {
        System.getLogger("io.weft").log(System.Logger.Level.WARNING, sentence);
    }
}
