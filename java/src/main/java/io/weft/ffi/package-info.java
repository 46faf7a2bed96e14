// SPDX-License-Identifier: Apache-2.0

/**
 * The C library as Java sees it: raw values, no policy.
 *
 * <ul>
 *   <li>{@link io.weft.ffi.Library} finds, extracts, loads and checks {@code libweft.so};
 *   <li>{@link io.weft.ffi.CType} maps each C type of the headers to a memory layout;
 *   <li>{@link io.weft.ffi.Layouts} holds structs, {@link io.weft.ffi.Constants} and {@link io.weft.ffi.Errno} numbers;
 *   <li>{@link io.weft.ffi.Downcalls} turns a C prototype into a method handle, and remembers it for the test that
 *       holds every prototype, struct and number against the headers as the C compiler sees them;
 *   <li>{@link io.weft.ffi.Ring} is Java's form of a protocol on memory that C and Java share;
 *   <li>one {@code XCalls} per header has one method per C function: same arguments in the same order, a handle as a
 *       {@code long}, a result as C gave it.
 * </ul>
 *
 * <p>What a function does, what its result means and who may call it is documented in the C headers and not repeated
 * here. Nothing here throws for a result code; the typed floor, {@code io.weft}, does.
 */
package io.weft.ffi;
