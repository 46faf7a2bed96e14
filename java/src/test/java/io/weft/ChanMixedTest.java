// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Channels between threads of every kind. */
class ChanMixedTest extends ChanContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.MIXED;
    }
}
