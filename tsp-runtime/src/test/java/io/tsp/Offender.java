package io.tsp;

import static java.lang.constant.ConstantDescs.CD_Object;
import static java.lang.constant.ConstantDescs.MTD_void;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.lang.reflect.AccessFlag;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A class file made to break a rule of {@link ArchitectureRules}. Made, not compiled: what it refers to need not exist,
 * and no source that breaks the rules lies about.
 */
final class Offender {
    private static final int STATIC = ClassFile.ACC_PUBLIC | ClassFile.ACC_STATIC;

    private final String name;
    private final List<Consumer<ClassBuilder>> members = new ArrayList<>();
    private final List<Offender> others = new ArrayList<>();
    private String id;

    private Offender(String name) {
        this.name = name;
        this.id = name;
    }

    /** A class without any offence yet in a package below {@code io.tsp}. */
    static Offender in(String packageName) {
        return new Offender("io.tsp." + packageName + ".Offender");
    }

    Offender uses(String type) {
        id += "-uses-" + type;
        members.add(c -> c.withField("used", ClassDesc.of(type), ClassFile.ACC_PUBLIC | ClassFile.ACC_FINAL));
        return this;
    }

    /** The offender of another package uses this one. */
    Offender usedBy(String packageName) {
        others.add(in(packageName).uses(name));
        return this;
    }

    Offender calls(Class<?> owner, String method, Class<?> returned, Class<?>... parameters) {
        id += "-calls-" + method;
        MethodTypeDesc type = MethodTypeDesc.of(
                desc(returned), List.of(parameters).stream().map(Offender::desc).toList());
        return body(code -> {
            for (Class<?> parameter : parameters) {
                if (parameter.isPrimitive()) {
                    code.iconst_0();
                } else {
                    code.aconst_null();
                }
            }
            code.invokestatic(desc(owner), method, type);
            discard(code, returned);
        });
    }

    Offender reads(Class<?> owner, String field, Class<?> type) {
        id += "-reads-" + field;
        return body(code -> {
            code.getstatic(desc(owner), field, desc(type));
            discard(code, type);
        });
    }

    Offender mutableStatic() {
        id += "-mutableStatic";
        members.add(c -> c.withField("state", CD_Object, STATIC));
        return this;
    }

    /** A name for this offence. */
    String id() {
        return id;
    }

    /** Writes the class files to {@code folder} and returns it. */
    Path write(Path folder) {
        byte[] bytes = ClassFile.of().build(ClassDesc.of(name), c -> {
            c.withFlags(AccessFlag.PUBLIC, AccessFlag.FINAL);
            members.forEach(member -> member.accept(c));
        });
        Path file = folder.resolve(name.replace('.', '/') + ".class");
        try {
            Files.createDirectories(file.getParent());
            Files.write(file, bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        others.forEach(other -> other.write(folder));
        return folder;
    }

    private Offender body(Consumer<CodeBuilder> body) {
        members.add(c -> c.withMethodBody("offend", MTD_void, STATIC, code -> {
            body.accept(code);
            code.return_();
        }));
        return this;
    }

    private static void discard(CodeBuilder code, Class<?> type) {
        switch (TypeKind.from(type).slotSize()) {
            case 1 -> code.pop();
            case 2 -> code.pop2();
            default -> {
                // Nothing was returned.
            }
        }
    }

    private static ClassDesc desc(Class<?> type) {
        return type.describeConstable().orElseThrow();
    }
}
