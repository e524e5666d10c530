// The page from above down.

drawHeading();
drawComparisons();
drawSequences();
drawPlans();
drawPredictions();
drawTimelines();
drawTrainings();
drawFooter();
redraw();

let pending = 0;
let width = window.innerWidth;
window.addEventListener("resize", () => {
    // Phones report a resize when their bars come and go.
    if (window.innerWidth !== width) {
        width = window.innerWidth;
        clearTimeout(pending);
        pending = setTimeout(redraw, 120);
    }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
        document.documentElement.classList.toggle("printing", printing);
        redraw();
    });
}
